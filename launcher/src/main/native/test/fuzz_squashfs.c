/*
 * An image as bytes: the prover walks it, and the image server answers questions about all of it.
 * Both end, with an error or with what is in the image, and they agree: what has been proved can be
 * served. The time an image was made at, which nothing reads, says in which way it is tried.
 */
#define _GNU_SOURCE
#include "answers.h"
#include "fuzz_file.h"
#include "image/image.h"
#include "shared/test/fuzz.h"

#include <errno.h>
#include <setjmp.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The prover is a process that ends when it has seen an image, and has its memory in variables of
 * its files. Here it is called, returns instead, and forgets.
 */
_Noreturn static void end_walk(int code);
#define _exit end_walk
#include "prover/sum.c"
#include "prover/walk.c"
#include "prover/walker.c"
#undef _exit

enum {
	MADE_AT = 8, /* in the superblock */
	QUESTIONS_MAX = 1000,
	READ_BYTES = 16 << 10,
	PARTS_MAX = 3000,
	LIST_BYTES = 1024,
	DEPTH_SHOWN = 50,
	ATTRIBUTES_ROOM = 1 << 16,
};

/* --- the prover --- */

static jmp_buf before_walk;
static int left_with;

_Noreturn static void end_walk(int code)
{
	left_with = code;
	longjmp(before_walk, 1);
}

static void forget_walk(void)
{
	squash_close(&here.image);
	here.path[0] = '\0';
	free(tree.seen);
	memset(tree.load, 0, sizeof(tree.load));
	tree.inodes = 0;
	tree.seen = NULL;
	tree.depth = 0;
	free(known.links);
	memset(&known, 0, sizeof(known));
	image_errno = 0;
}

static void walk_as(unsigned number, unsigned walkers, struct share *share)
{
	memset(share, 0, sizeof(*share));
	if (setjmp(before_walk) == 0)
		walk(image_file.size, number, walkers, share);
	forget_walk();
	if (share->done)
		INSIST(left_with == EXIT_SUCCESS && share->cause == NULL);
	else
		INSIST(share->cause != NULL && share->code == left_with && left_with != 0 &&
		       memchr(share->path, '\0', sizeof(share->path)) != NULL);
}

/* Several walkers come to the same as one. Returns whether the image is proved. */
static bool prove(unsigned walkers, struct share *whole)
{
	static struct share part;
	uint64_t sum = 0;
	bool proved = true;

	walk_as(0, 1, whole);
	for (unsigned number = 0; walkers > 1 && number < walkers; number++) {
		walk_as(number, walkers, &part);
		sum += part.sum;
		proved &= part.done;
	}
	if (walkers > 1 && !image_file.cut_short) {
		INSIST(proved == whole->done);
		INSIST(!proved || (sum == whole->sum && part.names == whole->names &&
				   part.bytes == whole->bytes));
	}
	return whole->done && !image_file.cut_short;
}

/* --- the image server --- */

static struct squash image;
static struct squash shaken; /* the same, with small caches and reads that fail */
static bool shakes;
static bool proved;
static int questions;
static uint64_t names_served, bytes_served;

/* Whatever reads have failed on the way, the answer is the same. */
static void ask_shaken(const struct request *request, int error, const struct answer *answer)
{
	struct answer again;

	for (image_file.fail_one_in = 2;; image_file.fail_one_in++) {
		image_file.has_failed = false;
		again = (struct answer){.kind = NOTHING};
		int error_again = request->act(&shaken, request, &again);
		if (!image_file.has_failed) {
			INSIST(image_file.cut_short ||
			       (error == error_again && (error != 0 || same(answer, &again))));
			break;
		}
		free(again.bytes);
	}
	free(again.bytes);
	image_file.fail_one_in = 0;
}

/* Returns the errno; the answer is to be freed. */
static int ask(action *act, fuse_ino_t inode, size_t room, uint64_t offset, const char *name,
	       struct answer *answer)
{
	struct request request = {
	    .act = act, .inode = inode, .size = room, .offset = (off_t)offset, .name = name};

	*answer = (struct answer){.kind = NOTHING};
	image_file.cut_short |= ++questions > QUESTIONS_MAX;
	int error = act(&image, &request, answer);
	if (shakes)
		ask_shaken(&request, error, answer);
	INSIST(!proved || image_file.cut_short || error == 0 || error == ENODATA ||
	       (act == act_listxattr && error == EIO)); /* with more than Linux can list */
	if (error != 0)
		return error;
	INSIST(answer->kind != BYTES || answer->size <= room);
	INSIST(answer->kind != LINK || strlen(answer->bytes) <= LINK_MAX_BYTES);
	return 0;
}

static void ask_attributes(fuse_ino_t inode)
{
	struct answer list, value;

	if (ask(act_listxattr, inode, ATTRIBUTES_ROOM, 0, NULL, &list) == 0) {
		INSIST(list.size == 0 || list.bytes[list.size - 1] == '\0');
		for (size_t at = 0; at < list.size && !image_file.cut_short;
		     at += strlen(list.bytes + at) + 1) {
			/* Found by its name, if it can be read. */
			INSIST(ask(act_getxattr, inode, ATTRIBUTES_ROOM, 0, list.bytes + at,
				   &value) != ENODATA);
			free(value.bytes);
		}
	}
	free(list.bytes);
}

/* What both have read of a file: from `offset` on, and a part at `at`, which may be a hole. */
static void compare_part(const struct answer *answer, uint64_t offset, uint64_t at,
			 const uint8_t *part, size_t part_bytes)
{
	uint64_t first = at > offset ? at : offset;
	uint64_t end = at + part_bytes, answer_end = offset + answer->size;

	for (end = end < answer_end ? end : answer_end; first < end; first++)
		INSIST((uint8_t)answer->bytes[first - offset] ==
		       (part == NULL ? 0 : part[first - at]));
}

/* A read at any place gives what the prover gets, which reads from the beginning. */
static void compare_read(fuse_ino_t inode, const struct stat *status, uint64_t offset)
{
	uint64_t length = (uint64_t)status->st_size, at = 0;
	uint64_t id = inode == FUSE_ROOT_ID ? image.super.root : inode - 2;
	struct inode described;
	struct blocks blocks;
	struct answer answer;
	const uint8_t *part;
	size_t got = 1;

	if (ask(act_read, inode, READ_BYTES, offset, NULL, &answer) == 0) {
		INSIST(answer.size ==
		       (length - offset < READ_BYTES ? length - offset : READ_BYTES));
		INSIST(squash_inode(&image, id, &described) || image_file.cut_short);
		squash_blocks(&image, &described, &blocks);
		for (int parts = 0; got > 0 && parts < PARTS_MAX && at < offset + answer.size;
		     parts++) {
			if (!squash_next_part(&image, &described, &blocks, &part, &got))
				break;
			compare_part(&answer, offset, at, part, got);
			at += got;
		}
	}
	free(answer.bytes);
}

static void ask_file(fuse_ino_t inode, const struct stat *status)
{
	uint64_t length = (uint64_t)status->st_size;

	bytes_served += length;
	image_is_block(&image, inode, 0);
	compare_read(inode, status, 0);
	if (length > READ_BYTES)
		compare_read(inode, status, length - READ_BYTES + 1);
	if (length > 0)
		compare_read(inode, status, random_below(length));
}

static void ask_link(fuse_ino_t inode, const struct stat *status)
{
	struct answer answer;

	if (ask(act_readlink, inode, 0, 0, NULL, &answer) == 0 && proved && !image_file.cut_short)
		INSIST(strlen(answer.bytes) == (size_t)status->st_size);
	free(answer.bytes);
}

static void ask_directory(fuse_ino_t directory, int depth);

static void ask_name(fuse_ino_t directory, const char *name, mode_t type, int depth)
{
	struct answer found, attributes;

	names_served++;
	if (ask(act_lookup, directory, 0, 0, name, &found) != 0)
		return;
	fuse_ino_t inode = found.entry.ino;
	INSIST(!proved || image_file.cut_short ||
	       (inode != 0 && (found.entry.attr.st_mode & S_IFMT) == type));
	if (inode == 0 || ask(act_getattr, inode, 0, 0, NULL, &attributes) != 0)
		return;
	const struct stat *status = &attributes.attributes;
	INSIST(memcmp(status, &found.entry.attr, sizeof(*status)) == 0);
	ask_attributes(inode);
	if (S_ISDIR(status->st_mode))
		ask_directory(inode, depth + 1);
	else if (S_ISLNK(status->st_mode))
		ask_link(inode, status);
	else if (S_ISREG(status->st_mode))
		ask_file(inode, status);
}

/* Entries as in linux/fuse.h, struct fuse_dirent: inode, offset, name length, type, name; padded.
 */
static void ask_names(fuse_ino_t directory, const struct answer *list, uint64_t *offset, int depth)
{
	for (size_t at = 0; at < list->size && !image_file.cut_short;) {
		const char *entry = list->bytes + at;
		uint32_t length, type;
		memcpy(offset, entry + 8, sizeof(*offset));
		memcpy(&length, entry + 16, sizeof(length));
		memcpy(&type, entry + 20, sizeof(type));
		INSIST(length > 0 && length <= NAME_MAX_BYTES);
		char *name = copy_text(entry + 24, length);
		INSIST(strlen(name) == length && strchr(name, '/') == NULL &&
		       strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
		ask_name(directory, name, type << 12, depth);
		free(name);
		at += (24 + (size_t)length + 7) & ~(size_t)7;
	}
}

static void ask_directory(fuse_ino_t directory, int depth)
{
	struct answer answer;
	uint64_t offset = 0;
	bool more = true;

	image_file.cut_short |= depth > DEPTH_SHOWN;
	ask(act_lookup, directory, 0, 0, "no-such-name", &answer);
	ask(act_readdirplus, directory, LIST_BYTES, 0, NULL, &answer);
	free(answer.bytes);
	while (more && !image_file.cut_short) {
		more = ask(act_readdir, directory, LIST_BYTES, offset, NULL, &answer) == 0 &&
		       answer.size > 0;
		if (more)
			ask_names(directory, &answer, &offset, depth);
		free(answer.bytes);
	}
}

static void serve(void)
{
	names_served = bytes_served = 0;
	questions = 0;
	bool opened = squash_open(&image, image_file.size, 16, READ_BYTES, READ_BYTES);
	if (shakes)
		squash_open(&shaken, image_file.size, 3, 1, 1);
	INSIST(opened || !proved || image_file.cut_short);
	if (opened) {
		ask_attributes(FUSE_ROOT_ID);
		ask_directory(FUSE_ROOT_ID, 0);
	}
	squash_close(&image);
	squash_close(&shaken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct share share;
	uint8_t way = size > MADE_AT ? data[MADE_AT] : 0;

	image_file =
	    (struct fuzz_file){.bytes = data, .size = size, .random_state = 0x9e3779b97f4a7c15ULL};
	proved = prove(1 + way % WALKERS_MAX, &share);
	shakes = (way / WALKERS_MAX) % 2 != 0;
	serve();
	INSIST(!proved || image_file.cut_short ||
	       (names_served == share.names && bytes_served == share.bytes));
	return 0;
}
