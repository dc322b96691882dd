/*
 * Walks the tree of an image and reads a share of what is in it. Others walk the same tree; which
 * of them reads a file is decided by its fragment, so that each fragment is decompressed once, and
 * else by how much each has to read.
 */
#define _GNU_SOURCE
#include "walk.h"
#include "common/die.h"
#include "crc32c.h"
#include "squash/squash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	METADATA_BLOCKS = 128,
	FRAGMENT_CACHE_BYTES = 8 << 20,
	NAMES_MAX = 2200000, /* 2,000,000 files are the most that are packed */
	DEPTH_MAX = 4096,
	PATH_MAX_BYTES = 1 << 16,
	LINKS_KEPT = 1 << 18, /* a power of two, as the next */
	SUMS_KEPT = 1 << 10,
	BLOCKS_OF_OWN = 4, /* a file of so many goes to whoever has least to do */
};

/* By holes and shared blocks a tree can be many times as large as its image. */
static const uint64_t BYTES_MAX = 1ULL << 41;
static const uint64_t ATTRIBUTE_BYTES_MAX = 1ULL << 36;

struct link {
	uint64_t inode; /* 0: none */
	uint32_t crc;
};

struct sum {
	uint32_t attributes;
	bool known;
	uint32_t sum;
};

/* A directory that the walk is in. */
struct frame {
	struct directory directory;
	size_t path_bytes; /* of its own path */
	struct cursor marks;
	uint32_t marks_left;
	bool has_mark; /* the next one, which is read */
	struct mark_of_list mark;
};

static struct {
	struct squash image;
	struct share *share;
	unsigned number; /* of this walker */
	unsigned walkers;
	uint64_t load[WALKERS_MAX]; /* bytes */
	uint64_t attribute_bytes;
	uint64_t inodes;
	uint8_t *seen; /* a bit for each inode number */
	struct link *links;
	uint32_t links_kept;
	struct sum sums[SUMS_KEPT];
	struct frame frames[DEPTH_MAX];
	size_t depth;
	char path[PATH_MAX_BYTES + NAME_MAX_BYTES + 2];
	struct crc32c_zeros hole; /* a block of them */
} here;

static _Noreturn void fail(int code, const char *cause)
{
	here.share->code = code;
	here.share->cause = cause;
	/* The root has no name. */
	memcpy(here.share->path, here.path, strnlen(here.path, sizeof(here.share->path) - 1));
	_exit(code);
}

/* Of the whole image, wherever the walk is. */
static _Noreturn void fail_beyond(const char *cause)
{
	here.path[0] = '\0';
	fail(EXIT_BEYOND, cause);
}

static _Noreturn void fail_as_read(void)
{
	if (image_errno != 0)
		fail(EXIT_INPUT, "the file could not be read from its disk");
	fail(here.image.no_memory ? EXIT_INTERNAL : EXIT_DAMAGED, here.image.cause);
}

static void *allocate(size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (memory == NULL)
		fail(EXIT_INTERNAL, "no memory");
	return memory;
}

static uint32_t add_hole(uint32_t crc, size_t size)
{
	if (size != here.image.super.block_size)
		return crc32c_add_zeros(crc, size);
	if (here.hole.size == 0)
		crc32c_learn_zeros(&here.hole, size);
	return crc32c_add_learned_zeros(&here.hole, crc);
}

static uint32_t read_file(const struct inode *inode)
{
	struct blocks blocks;
	uint64_t left = inode->size;
	uint32_t crc = 0;

	squash_blocks(&here.image, inode, &blocks);
	while (left > 0) {
		const uint8_t *bytes;
		size_t size;
		if (!squash_next_part(&here.image, inode, &blocks, &bytes, &size))
			fail_as_read();
		if (size == 0 || size > left)
			fail(EXIT_DAMAGED, "the file ends too early");
		crc = bytes == NULL ? add_hole(crc, size) : crc32c(crc, bytes, size);
		left -= size;
	}
	return crc;
}

/* Files with several names are read once, as long as there is room to remember them. */
static uint32_t read_linked_file(const struct inode *inode)
{
	uint64_t key = inode->id + 1;
	size_t slot = (size_t)((key * 0x9e3779b97f4a7c15ULL) >> 40);

	if (here.links == NULL)
		here.links = allocate(2 * LINKS_KEPT * sizeof(*here.links));
	for (;; slot++) {
		struct link *link = &here.links[slot % (2 * LINKS_KEPT)];
		if (link->inode == key)
			return link->crc;
		if (link->inode != 0)
			continue;
		uint32_t crc = read_file(inode);
		if (here.links_kept < LINKS_KEPT) {
			here.links_kept++;
			*link = (struct link){.inode = key, .crc = crc};
		}
		return crc;
	}
}

static uint32_t read_link(const struct inode *inode)
{
	char text[LINK_MAX_BYTES];

	if (!squash_link(&here.image, inode, text))
		fail_as_read();
	if (memchr(text, '\0', inode->size) != NULL)
		fail(EXIT_DAMAGED, "a symbolic link has a NUL in it");
	return crc32c(0, text, inode->size);
}

static uint32_t read_attribute(struct attribute *attribute)
{
	static uint8_t value[ATTRIBUTE_MAX_BYTES];

	here.attribute_bytes += attribute->value_bytes;
	if (here.attribute_bytes > ATTRIBUTE_BYTES_MAX)
		fail_beyond(
		    "its attributes are more than 64 GiB, which is more than can be proved");
	if (!squash_metadata(&here.image, &attribute->value, value, attribute->value_bytes))
		fail_as_read();
	uint32_t crc = crc32c(0, attribute->name, strlen(attribute->name) + 1);
	return crc32c(crc, value, attribute->value_bytes);
}

/* Many files have the same attributes, to which they then have the same number. */
static uint32_t read_attributes(const struct inode *inode)
{
	struct sum *known = &here.sums[inode->attributes % SUMS_KEPT];
	struct attributes all;
	uint32_t sum = 0;

	if (inode->attributes == SQUASHFS_INVALID_XATTR)
		return 0;
	if (known->known && known->attributes == inode->attributes)
		return known->sum;
	if (!squash_attributes(&here.image, inode, &all))
		fail_as_read();
	while (all.left > 0) {
		struct attribute attribute;
		if (!squash_next_attribute(&here.image, &all, &attribute))
			fail_as_read();
		sum += read_attribute(&attribute);
	}
	*known = (struct sum){.attributes = inode->attributes, .known = true, .sum = sum};
	return sum;
}

static char letter_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 'f';
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	default:
		return 's';
	}
}

static void read_content(const struct inode *inode)
{
	char text[128];
	uint32_t content = 0;

	if (S_ISREG(inode->mode))
		content = inode->links > 1 ? read_linked_file(inode) : read_file(inode);
	else if (S_ISLNK(inode->mode))
		content = read_link(inode);
	uint32_t attributes = read_attributes(inode);
	int length =
	    snprintf(text, sizeof(text), "%c %o %" PRIu32 " %" PRIu64 " %08" PRIx32 " %08" PRIx32,
		     letter_of(inode->mode), inode->mode & 07777U, inode->mtime,
		     S_ISREG(inode->mode) ? inode->size : 0, content, attributes);
	/* Paths begin with a slash here, and end with NUL. */
	uint32_t crc = crc32c(0, here.path + 1, strlen(here.path));
	here.share->sum += crc32c(crc, text, (size_t)length);
}

static unsigned owner_of(const struct inode *inode)
{
	unsigned least = 0;

	if (!S_ISREG(inode->mode))
		return (unsigned)(here.share->names % here.walkers);
	if (inode->links > 1)
		return (unsigned)((inode->id >> 6) % here.walkers);
	if (inode->fragment != SQUASHFS_INVALID_FRAG &&
	    squash_block_count(&here.image, inode) < BLOCKS_OF_OWN)
		return inode->fragment % here.walkers;
	for (unsigned walker = 1; walker < here.walkers; walker++)
		if (here.load[walker] < here.load[least])
			least = walker;
	return least;
}

/* Counts an inode once; false when it was counted before. */
static bool count_inode(const struct inode *inode)
{
	if (inode->number == 0 || inode->number > here.image.super.inodes)
		fail(EXIT_DAMAGED, "the number of an inode makes no sense");
	uint8_t *byte = &here.seen[inode->number / 8];
	uint8_t bit = (uint8_t)(1U << (inode->number % 8));
	if ((*byte & bit) != 0)
		return false;
	*byte |= bit;
	here.inodes++;
	return true;
}

static void read_mark(struct frame *frame)
{
	frame->has_mark = frame->marks_left > 0;
	if (!frame->has_mark)
		return;
	frame->marks_left--;
	if (!squash_next_mark(&here.image, &frame->marks, &frame->mark))
		fail_as_read();
}

static void enter(const struct inode *inode)
{
	if (here.depth == DEPTH_MAX)
		fail(EXIT_BEYOND,
		     "it is deeper than 4,096 directories, which is deeper than can be proved");
	struct frame *frame = &here.frames[here.depth];
	if (!squash_list(&here.image, inode, 0, &frame->directory))
		fail_as_read();
	frame->path_bytes = strlen(here.path);
	frame->marks = inode->rest;
	frame->marks_left = inode->indexes;
	read_mark(frame);
	here.depth++;
}

/* Names are found by the marks of a directory: each must lead to the entry that it names. */
static void check_mark(struct frame *frame, const struct directory *before,
		       const struct entry *entry)
{
	const struct mark_of_list *mark = &frame->mark;

	if (!frame->has_mark || before->offset < mark->offset)
		return;
	if (before->offset != mark->offset || before->left != 0 ||
	    before->cursor.block != mark->block || entry->name_bytes != mark->name_bytes ||
	    memcmp(entry->name, mark->name, mark->name_bytes) != 0)
		fail(EXIT_DAMAGED, "the index of its directory is wrong");
	read_mark(frame);
}

static void visit(const struct entry *entry)
{
	struct inode inode;

	if (++here.share->names > NAMES_MAX)
		fail_beyond("it has more than 2,200,000 names, which is more than can be proved");
	if (!squash_inode(&here.image, entry->inode, &inode))
		fail_as_read();
	if (entry->type != (inode.mode & S_IFMT) || entry->number != inode.number)
		fail(EXIT_DAMAGED, "its directory says otherwise than its inode");
	bool is_new = count_inode(&inode);
	unsigned owner = owner_of(&inode);
	if (S_ISREG(inode.mode)) {
		here.load[owner] += inode.size;
		here.share->bytes += inode.size;
		if (here.share->bytes > BYTES_MAX)
			fail_beyond(
			    "its files are more than 2 TiB, which is more than can be proved");
	}
	if (owner == here.number)
		read_content(&inode);
	if (!S_ISDIR(inode.mode))
		return;
	if (!is_new)
		fail(EXIT_DAMAGED, "a directory is in several places");
	enter(&inode);
}

static void append(const struct entry *entry, size_t at)
{
	if (at > PATH_MAX_BYTES)
		fail(EXIT_BEYOND, "its files have paths of more than 65,536 bytes, which is more "
				  "than can be proved");
	here.path[at] = '/';
	memcpy(here.path + at + 1, entry->name, entry->name_bytes + 1);
}

/* Whoever looks for a name stops at one that is greater. */
static bool is_in_order(const char *last, const struct entry *entry, bool first)
{
	return first || strcmp(last, entry->name) < 0;
}

static void leave(struct frame *frame)
{
	here.depth--;
	here.path[frame->path_bytes] = '\0';
	if (frame->has_mark)
		fail(EXIT_DAMAGED, "the index of the directory is wrong");
}

static void walk_tree(void)
{
	while (here.depth > 0) {
		struct frame *frame = &here.frames[here.depth - 1];
		const struct directory before = frame->directory;
		struct entry entry;
		switch (squash_next_entry(&here.image, &frame->directory, &entry)) {
		case STEP_ENTRY:
			if (!is_in_order(here.path + frame->path_bytes + 1, &entry,
					 before.offset == 0))
				fail(EXIT_DAMAGED,
				     "the next name in its directory is out of order");
			append(&entry, frame->path_bytes);
			check_mark(frame, &before, &entry);
			visit(&entry);
			break;
		case STEP_END:
			leave(frame);
			break;
		case STEP_FAILED:
			here.path[frame->path_bytes] = '\0';
			fail_as_read();
		}
	}
}

static void begin(uint64_t file_bytes)
{
	struct inode root;

	if (!squash_open(&here.image, file_bytes, METADATA_BLOCKS, 1, FRAGMENT_CACHE_BYTES) ||
	    !squash_inode(&here.image, here.image.super.root, &root))
		fail_as_read();
	if (here.image.super.inodes > NAMES_MAX)
		fail_beyond("it has more than 2,200,000 inodes, which is more than can be proved");
	here.seen = allocate(here.image.super.inodes / 8 + 1);
	count_inode(&root);
	read_attributes(&root);
	enter(&root);
}

void walk(uint64_t file_bytes, unsigned number, unsigned walkers, struct share *share)
{
	here.number = number;
	here.walkers = walkers;
	here.share = share;
	begin(file_bytes);
	walk_tree();
	if (here.inodes != here.image.super.inodes)
		fail(EXIT_DAMAGED, "it has another number of inodes than it says");
	share->done = true;
	_exit(EXIT_SUCCESS);
}
