/*
 * Damages images in many ways, always the same ones, and has all that reads images read them: what
 * the image server answers with, and every some times what proves an image. Arguments: how many
 * times, with which seed, and images, uncompressed ones, in which damage hits what is read.
 */
#define _GNU_SOURCE
#include "image/filling.h"
#include "image/image.h"
#include "prover/walk.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	QUESTIONS_MAX = 500, /* of one image */
	READ_BYTES = 128 << 10,
	LIST_BYTES = 4096,
	PROVED_ONE_IN = 8,
	PROVE_SECONDS = 20,
	COLOURFUL_BYTES = 1024, /* of which there is more in any image */
};

static uint8_t *bytes;
static size_t size;
static struct squash image;
static int questions;
static uint64_t random_state;
static long opened;
static long proved;
static long refused;

int image_errno;

bool read_image(void *buffer, size_t count, uint64_t offset)
{
	if (offset > size || count > size - offset)
		return false;
	memcpy(buffer, bytes + offset, count);
	return true;
}

void filling_begin(bool wait)
{
	(void)wait;
}

uint64_t filling_image_bytes(void)
{
	return size;
}

enum outcome filling_outcome(uint32_t *chunk)
{
	*chunk = 0;
	return READS_GOOD;
}

void filling_die(uint32_t chunk)
{
	(void)chunk;
	abort();
}

static uint64_t random_below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % limit;
}

static void insist(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "FAILED: %s\n", what);
	abort();
}

static int ask(action *act, fuse_ino_t inode, size_t room, off_t offset, const char *name,
	       struct answer *answer)
{
	struct request request = {
	    .act = act, .inode = inode, .size = room, .offset = offset, .name = name};

	*answer = (struct answer){.kind = NOTHING};
	questions++;
	int error = act(&image, &request, answer);
	if (error == 0 && answer->kind == BYTES)
		insist(answer->size <= room, "an answer is longer than asked for");
	if (error == 0 && answer->kind == LINK)
		insist(strlen(answer->bytes) <= LINK_MAX_BYTES, "a link is too long");
	return error;
}

static void ask_and_forget(action *act, fuse_ino_t inode, size_t room, off_t offset,
			   const char *name)
{
	struct answer answer;

	ask(act, inode, room, offset, name, &answer);
	free(answer.bytes);
}

static void read_some(fuse_ino_t inode, off_t length)
{
	off_t last = length > READ_BYTES ? length - READ_BYTES + 1 : 0;

	ask_and_forget(act_read, inode, READ_BYTES, 0, NULL);
	ask_and_forget(act_read, inode, READ_BYTES, last, NULL);
	if (length > 0)
		ask_and_forget(act_read, inode, READ_BYTES, (off_t)random_below((uint64_t)length),
			       NULL);
	image_is_block(&image, inode, last);
}

static void walk_directory(fuse_ino_t directory, int depth);

static void visit(fuse_ino_t directory, const char *name, int depth)
{
	struct answer found;

	if (ask(act_lookup, directory, 0, 0, name, &found) != 0 || found.entry.ino == 0)
		return;
	fuse_ino_t inode = found.entry.ino;
	ask_and_forget(act_getattr, inode, 0, 0, NULL);
	ask_and_forget(act_listxattr, inode, 1 << 16, 0, NULL);
	ask_and_forget(act_getxattr, inode, 1 << 16, 0, "user.colour");
	if (S_ISDIR(found.entry.attr.st_mode))
		walk_directory(inode, depth + 1);
	else if (S_ISLNK(found.entry.attr.st_mode))
		ask_and_forget(act_readlink, inode, 0, 0, NULL);
	else if (S_ISREG(found.entry.attr.st_mode))
		read_some(inode, found.entry.attr.st_size);
}

/* Entries as in linux/fuse.h, struct fuse_dirent: inode, offset, name length, type, name; padded.
 */
static void walk_directory(fuse_ino_t directory, int depth)
{
	struct answer list;
	off_t offset = 0;
	bool more = depth < 50;

	ask_and_forget(act_lookup, directory, 0, 0, "no-such-name");
	ask_and_forget(act_readdirplus, directory, LIST_BYTES, 0, NULL);
	while (more && questions < QUESTIONS_MAX) {
		more = ask(act_readdir, directory, LIST_BYTES, offset, NULL, &list) == 0 &&
		       list.size > 0;
		for (size_t at = 0; more && at < list.size && questions < QUESTIONS_MAX;) {
			char name[NAME_MAX_BYTES + 1];
			uint32_t length;
			memcpy(&offset, list.bytes + at + 8, sizeof(offset));
			memcpy(&length, list.bytes + at + 16, sizeof(length));
			insist(length > 0 && length <= NAME_MAX_BYTES, "a name is too long");
			memcpy(name, list.bytes + at + 24, length);
			name[length] = '\0';
			insist(strlen(name) == length && strchr(name, '/') == NULL &&
				   strcmp(name, ".") != 0 && strcmp(name, "..") != 0,
			       "a name is none");
			visit(directory, name, depth);
			at += (24 + (size_t)length + 7) & ~(size_t)7;
		}
		free(list.bytes);
	}
}

static void serve_it(void)
{
	questions = 0;
	if (squash_open(&image, size, 16, READ_BYTES, READ_BYTES)) {
		opened++;
		walk_directory(FUSE_ROOT_ID, 0);
	} else {
		refused++;
	}
	squash_close(&image);
}

static void prove_it(void)
{
	int status;
	struct share *share =
	    mmap(NULL, sizeof(*share), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	insist(share != MAP_FAILED, "no memory");
	pid_t pid = fork();
	if (pid == 0) {
		alarm(PROVE_SECONDS);
		walk(size, 0, 1, share);
	}
	insist(pid > 0 && waitpid(pid, &status, 0) == pid, "no process");
	insist(WIFEXITED(status), "the proof crashed, or did not end");
	insist(share->done ? WEXITSTATUS(status) == 0
			   : share->cause != NULL && WEXITSTATUS(status) == share->code,
	       "the proof ended otherwise than it says");
	proved += share->done;
	munmap(share, sizeof(*share));
}

static uint64_t super_field(size_t at)
{
	uint64_t value;

	memcpy(&value, bytes + at, sizeof(value));
	return le64toh(value);
}

/* Where damage begins: superblock, data, and of the metadata all, the first and the last. */
static size_t choose_place(uint64_t metadata, uint64_t end)
{
	switch (random_below(8)) {
	case 0:
		return random_below(SUPER_BYTES);
	case 1:
		return SUPER_BYTES + random_below(size - SUPER_BYTES);
	case 2:
	case 3:
		return metadata + random_below(end - metadata);
	case 4:
	case 5:
		return end - 1 - random_below(2 * COLOURFUL_BYTES);
	default:
		return metadata + random_below(COLOURFUL_BYTES);
	}
}

static void damage(uint64_t metadata, uint64_t end)
{
	static const uint64_t NUMBERS[] = {
	    0,		 1,	     2,		 3,	    0x7f,      0x80,	0xff,
	    0x100,	 0x400,	     0x800,	 0xfff,	    0x1000,    0x1fff,	0x2000,
	    0x7fff,	 0x8000,     0xffff,	 0x10000,   0x1000000, 1 << 30, 1U << 31,
	    0xffffffffU, 1ULL << 40, 1ULL << 63, UINT64_MAX};
	size_t width = (size_t)1 << random_below(4);
	size_t at = choose_place(metadata, end);
	uint64_t value = NUMBERS[random_below(sizeof(NUMBERS) / sizeof(*NUMBERS))];

	if (at > size - width)
		at = size - width;
	if (random_below(3) == 0)
		value = random_below(UINT64_MAX);
	/* A little more or less than is there goes unnoticed for longest. */
	if (random_below(3) == 0) {
		uint64_t there = 0;
		memcpy(&there, bytes + at, width);
		value = le64toh(there) + random_below(16) - 8;
	}
	value = htole64(value);
	memcpy(bytes + at, &value, width);
}

static uint8_t *load(const char *path, size_t *length)
{
	struct stat status;
	FILE *file = fopen(path, "r");

	insist(file != NULL && fstat(fileno(file), &status) == 0, path);
	*length = (size_t)status.st_size;
	uint8_t *content = malloc(*length);
	insist(content != NULL && fread(content, 1, *length, file) == *length, path);
	fclose(file);
	return content;
}

static void keep_for_later(const char *directory)
{
	char path[4096];

	if (directory == NULL)
		return;
	snprintf(path, sizeof(path), "%s/last.sqfs", directory);
	FILE *file = fopen(path, "w");
	insist(file != NULL && fwrite(bytes, 1, size, file) == size && fclose(file) == 0, path);
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: fuzz_image TIMES SEED IMAGE...\n");
		return 64;
	}
	long times = atol(argv[1]);
	/* A state of 0 would stay 0. */
	random_state = strtoull(argv[2], NULL, 10) * 0x9e3779b97f4a7c15ULL + 1;
	for (int i = 3; i < argc; i++) {
		uint8_t *whole = load(argv[i], &size);
		bytes = malloc(size);
		insist(bytes != NULL, "no memory");
		for (long turn = 0; turn < times; turn++) {
			memcpy(bytes, whole, size);
			uint64_t metadata = super_field(64), end = super_field(40);
			for (uint64_t left = turn == 0 ? 0 : 1 + random_below(3); left > 0; left--)
				damage(metadata, end);
			keep_for_later(getenv("LAYERCAKE_FUZZ_KEEP"));
			serve_it();
			if (turn % PROVED_ONE_IN == 0)
				prove_it();
		}
		free(bytes);
		free(whole);
	}
	printf("%ld opened, %ld refused, %ld proved\n", opened, refused, proved);
	return opened == 0 || refused == 0 || proved == 0;
}
