/*
 * What parked requests rely on: after reads that failed, answers are as if nothing had
 * happened, and (under asan) has lost no memory. Argument: a squashfs image, all of which is read.
 */
#define _GNU_SOURCE
#include "answers.h"
#include "image/filling.h"
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 128 << 10, LIST_BYTES = 4096 };

static int file;
static int fail_one_in; /* 0: never */
static bool has_failed;
static int passed;
static int failed;
static long failures;

bool read_image(void *buffer, size_t count, uint64_t offset)
{
	if (fail_one_in != 0 && rand() % fail_one_in == 0) {
		has_failed = true;
		return false;
	}
	return pread(file, buffer, count, (off_t)offset) == (ssize_t)count;
}

uint64_t filling_image_bytes(void)
{
	struct stat status;

	return fstat(file, &status) == 0 ? (uint64_t)status.st_size : 0;
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

void filling_begin(bool wait)
{
	(void)wait;
	has_failed = false;
}

/* Two images read the same, one of them with failures. */
static struct squash sound;
static struct squash shaken;

static int ask_shaken(const struct request *request, struct answer *answer)
{
	for (fail_one_in = 2;; fail_one_in++) {
		filling_begin(false);
		*answer = (struct answer){.kind = NOTHING};
		int error = request->act(&shaken, request, answer);
		if (!has_failed) {
			fail_one_in = 0;
			return error;
		}
		failures++;
		free(answer->bytes);
	}
}

/* Returns the errno; the answer is to be freed. */
static int ask(struct request request, struct answer *answer)
{
	struct answer again;

	*answer = (struct answer){.kind = NOTHING};
	int error = request.act(&sound, &request, answer);
	int error_again = ask_shaken(&request, &again);
	if (error == error_again && (error != 0 || same(answer, &again))) {
		passed++;
	} else {
		failed++;
		printf("FAILED: inode %lu offset %ld: %d, %d\n", (unsigned long)request.inode,
		       (long)request.offset, error, error_again);
	}
	free(again.bytes);
	return error;
}

static void read_all(fuse_ino_t inode)
{
	struct answer answer;
	off_t offset = 0;

	do {
		if (ask(
			(struct request){
			    .act = act_read, .inode = inode, .size = READ_BYTES, .offset = offset},
			&answer) != 0)
			answer.size = 0;
		offset += (off_t)answer.size;
		free(answer.bytes);
	} while (answer.size > 0);
}

static void ask_and_forget(action *act, fuse_ino_t inode, const char *name)
{
	struct answer answer;

	ask((struct request){.act = act, .inode = inode, .size = 1 << 16, .name = name}, &answer);
	free(answer.bytes);
}

static void walk(fuse_ino_t directory);

static void visit(fuse_ino_t directory, const char *name)
{
	struct answer found;

	if (ask((struct request){.act = act_lookup, .inode = directory, .name = name}, &found) != 0)
		return;
	fuse_ino_t inode = found.entry.ino;
	ask_and_forget(act_getattr, inode, NULL);
	ask_and_forget(act_listxattr, inode, NULL);
	ask_and_forget(act_getxattr, inode, "user.colour");
	if (S_ISDIR(found.entry.attr.st_mode))
		walk(inode);
	else if (S_ISLNK(found.entry.attr.st_mode))
		ask_and_forget(act_readlink, inode, NULL);
	else if (S_ISREG(found.entry.attr.st_mode))
		read_all(inode);
}

/* Entries as in linux/fuse.h, struct fuse_dirent: inode, offset, name length, type, name; padded.
 */
static void walk(fuse_ino_t directory)
{
	struct answer list;
	off_t offset = 0;

	ask_and_forget(act_readdirplus, directory, NULL);
	ask_and_forget(act_lookup, directory, "no-such-name");
	for (;;) {
		if (ask((struct request){.act = act_readdir,
					 .inode = directory,
					 .size = LIST_BYTES,
					 .offset = offset},
			&list) != 0 ||
		    list.size == 0)
			break;
		for (size_t at = 0; at < list.size;) {
			char name[257];
			uint32_t length;
			memcpy(&offset, list.bytes + at + 8, sizeof(offset));
			memcpy(&length, list.bytes + at + 16, sizeof(length));
			snprintf(name, sizeof(name), "%.*s", (int)length, list.bytes + at + 24);
			visit(directory, name);
			at += (24 + (size_t)length + 7) & ~(size_t)7;
		}
		free(list.bytes);
	}
	free(list.bytes);
}

int main(int argc, char **argv)
{
	file = argc == 2 ? open(argv[1], O_RDONLY) : -1;
	if (file < 0) {
		perror("usage: test_image IMAGE");
		return 1;
	}
	image_open(&sound);
	/* With small caches: it reads more often. */
	if (!squash_open(&shaken, filling_image_bytes(), 8, 1, 1))
		return 1;
	walk(FUSE_ROOT_ID);
	squash_close(&sound);
	squash_close(&shaken);
	printf("%d passed, %d failed; %ld reads failed on the way\n", passed, failed, failures);
	return failed != 0 || failures == 0;
}
