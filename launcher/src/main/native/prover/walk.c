/*
 * Walks the tree of an image and reads a share of what is in it. Others walk the same tree; which
 * of them reads a file is decided by its fragment, so that each fragment is decompressed once, and
 * else by how much each has to read.
 */
#define _GNU_SOURCE
#include "walk.h"
#include "common/die.h"
#include "sum.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	METADATA_BLOCKS = 128,
	FRAGMENT_CACHE_BYTES = 8 << 20,
	NAMES_MAX = 2200000, /* 2,000,000 files are the most that are packed */
	DEPTH_MAX = 4096,
	BLOCKS_OF_OWN = 4, /* a file of so many goes to whoever has least to do */
};

/* By holes and shared blocks a tree can be many times as large as its image. */
static const uint64_t BYTES_MAX = 1ULL << 41;

/* A directory that the walk is in. */
struct frame {
	struct directory directory;
	size_t path_bytes; /* of its own path */
	struct marks_of_list marks;
	bool has_mark; /* the next one, which is read */
	struct mark_of_list mark;
};

static struct {
	uint64_t load[WALKERS_MAX]; /* bytes */
	uint64_t inodes;
	uint8_t *seen; /* a bit for each inode number */
	struct frame frames[DEPTH_MAX];
	size_t depth;
} tree;

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
		if (tree.load[walker] < tree.load[least])
			least = walker;
	return least;
}

/* Counts an inode once; false when it was counted before. */
static bool count_inode(const struct inode *inode)
{
	if (inode->number == 0 || inode->number > here.image.super.inodes)
		fail(EXIT_DAMAGED, "the number of an inode makes no sense");
	uint8_t *byte = &tree.seen[inode->number / 8];
	uint8_t bit = (uint8_t)(1U << (inode->number % 8));
	if ((*byte & bit) != 0)
		return false;
	*byte |= bit;
	tree.inodes++;
	return true;
}

static void read_mark(struct frame *frame)
{
	frame->has_mark = frame->marks.left > 0;
	if (frame->has_mark && !squash_next_mark(&here.image, &frame->marks, &frame->mark))
		fail_as_read();
}

static void enter(const struct inode *inode)
{
	if (tree.depth == DEPTH_MAX)
		fail(EXIT_UNAVAILABLE,
		     "it is deeper than 4,096 directories, which is deeper than can be proved");
	struct frame *frame = &tree.frames[tree.depth];
	if (!squash_list(&here.image, inode, 0, &frame->directory))
		fail_as_read();
	frame->path_bytes = strlen(here.path);
	squash_marks(&here.image, inode, &frame->marks);
	read_mark(frame);
	tree.depth++;
}

/* Names are found by the marks of a directory: each must lead to the entry that it names. */
static void check_mark(struct frame *frame, const struct directory *before,
		       const struct entry *entry)
{
	const struct mark_of_list *mark = &frame->mark;

	if (!frame->has_mark || before->offset < mark->offset)
		return;
	if (before->offset != mark->offset || before->left != 0 ||
	    before->cursor.block != mark->cursor.block ||
	    before->cursor.offset != mark->cursor.offset || entry->name_bytes != mark->name_bytes ||
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
		tree.load[owner] += inode.size;
		here.share->bytes += inode.size;
		if (here.share->bytes > BYTES_MAX)
			fail_beyond(
			    "its files are more than 2 TiB, which is more than can be proved");
	}
	if (owner == here.number)
		here.share->sum += sum_of_inode(&inode);
	if (!S_ISDIR(inode.mode))
		return;
	if (!is_new)
		fail(EXIT_DAMAGED, "a directory is in several places");
	enter(&inode);
}

static void append(const struct entry *entry, size_t at)
{
	if (at > PATH_MAX_BYTES)
		fail(EXIT_UNAVAILABLE,
		     "its files have paths of more than 65,536 bytes, which is more "
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
	tree.depth--;
	here.path[frame->path_bytes] = '\0';
	if (frame->has_mark)
		fail(EXIT_DAMAGED, "the index of the directory is wrong");
}

static void walk_tree(void)
{
	while (tree.depth > 0) {
		struct frame *frame = &tree.frames[tree.depth - 1];
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
	tree.seen = allocate(here.image.super.inodes / 8 + 1);
	count_inode(&root);
	sum_of_attributes(&root);
	enter(&root);
}

void walk(uint64_t file_bytes, unsigned number, unsigned walkers, struct share *share)
{
	here.number = number;
	here.walkers = walkers;
	here.share = share;
	begin(file_bytes);
	walk_tree();
	if (tree.inodes != here.image.super.inodes)
		fail(EXIT_DAMAGED, "it has another number of inodes than it says");
	share->done = true;
	_exit(EXIT_SUCCESS);
}
