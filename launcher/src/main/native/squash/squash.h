/*
 * Reads squashfs images, which come from users: every number in them is checked before it is used.
 * Only decompression is libsquashfuse's, whose reader takes most numbers as they are. Sources: the
 * kernel's fs/squashfs and Documentation/filesystems/squashfs.rst.
 *
 * All functions that return bool say false when the image cannot be read, and why in
 * `image->cause`; what they have read before stays good, so that a call can be made again. Not
 * thread safe: each thread has an image of its own.
 */
#ifndef LAYERCAKE_SQUASH_H
#define LAYERCAKE_SQUASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <squashfuse/common.h>
/* What follows needs the above. */
#include <squashfuse/decompress.h>
#include <squashfuse/squashfs_fs.h>

enum {
	SUPER_BYTES = 96,
	METADATA_BYTES = SQUASHFS_METADATA_SIZE,
	NAME_MAX_BYTES = 255,		/* Linux; the format has room for more */
	LINK_MAX_BYTES = 4095,		/* PATH_MAX */
	ATTRIBUTE_MAX_BYTES = 1 << 16,	/* XATTR_SIZE_MAX, XATTR_LIST_MAX */
	ATTRIBUTE_NAME_MAX_BYTES = 255, /* XATTR_NAME_MAX */
	INDEXED_FILES = 8,
};

/* Each program has its own: reads all of `count` bytes of the image file at `offset`. */
bool read_image(void *buffer, size_t count, uint64_t offset);

/* A place in the metadata: in which stored block, and where in its content. */
struct cursor {
	uint64_t block;
	uint64_t end; /* of the table: blocks begin before that */
	uint32_t offset;
};

struct cached {
	uint64_t position; /* 0: empty */
	uint64_t used;	   /* of the last use */
	uint64_t next;	   /* where the next stored block begins */
	uint32_t size;
	uint8_t *bytes;
};

struct cache {
	struct cached *blocks;
	size_t count;
	size_t last; /* the block that was found last */
	size_t room; /* bytes of the largest block */
	uint64_t clock;
};

/* An array of records in metadata blocks, whose positions are in `blocks`. */
struct table {
	uint64_t *blocks;
	uint32_t records;
	uint32_t record_bytes;
	uint64_t end;
};

struct super {
	uint32_t inodes;
	uint32_t block_size;
	uint32_t fragments;
	uint32_t ids;
	uint64_t root;
	uint64_t bytes;
	uint64_t inode_table;
	uint64_t directory_table;
	bool has_attributes;
};

/* Where a file's list of blocks can be entered: every some blocks. */
struct marks {
	uint64_t inode; /* 0: none */
	uint32_t count;
	uint32_t room;
	struct mark *all;
};

struct squash {
	const char *cause;
	bool no_memory; /* that is the cause */
	struct super super;
	sqfs_decompressor decompress;
	uint8_t *stored; /* what a compressed block is read into */
	struct cache metadata;
	struct cache data;
	struct cache fragments;
	struct table ids;
	struct table fragment_table;
	struct table attribute_table;
	uint64_t attributes; /* where they begin */
	struct marks marks[INDEXED_FILES];
	unsigned next_marks;
};

struct inode {
	uint64_t id;
	uint32_t number;
	mode_t mode; /* with the type */
	uint32_t mtime;
	uint32_t uid;
	uint32_t gid;
	uint32_t links;
	uint32_t attributes; /* SQUASHFS_INVALID_XATTR: none */
	uint64_t size;	     /* of files and links; of directories' lists */
	uint32_t device;     /* as in the image */
	uint64_t start;	     /* of a file's blocks; of a directory's list, in its table */
	uint32_t fragment;   /* SQUASHFS_INVALID_FRAG: none */
	uint32_t offset;     /* in the fragment's block; in the block in which the list begins */
	uint32_t indexes;    /* of a directory */
	struct cursor rest;  /* a file's list of blocks, a link's text, a directory's indexes */
};

struct directory {
	struct cursor cursor;
	uint64_t offset;
	uint64_t total;
	uint32_t left; /* entries of this header */
	uint32_t inode_block;
	uint32_t inode_number;
};

struct entry {
	uint64_t inode;
	uint32_t number;
	mode_t type;
	uint64_t next_offset;
	size_t name_bytes;
	char name[NAME_MAX_BYTES + 1]; /* ends with NUL, has no other, nor a slash */
};

/* A place in a large directory's list, by which those who look for a name need not read it all. */
struct mark_of_list {
	uint64_t offset;      /* in the list */
	struct cursor cursor; /* where the part begins that starts there */
	size_t name_bytes;
	char name[NAME_MAX_BYTES]; /* of the first entry in it */
};

/* All of them, one after the other. */
struct marks_of_list {
	struct cursor cursor;
	struct cursor list; /* where it begins */
	uint32_t left;
};

enum step { STEP_ENTRY, STEP_END, STEP_FAILED };

/* A file's blocks, one after the other. */
struct blocks {
	struct cursor cursor;
	uint64_t left;
	uint64_t number;
	uint64_t position; /* in the image, of the next */
};

struct attributes {
	struct cursor cursor;
	uint32_t left;
};

struct attribute {
	char name[ATTRIBUTE_NAME_MAX_BYTES + 1]; /* with its prefix */
	struct cursor value;
	uint32_t value_bytes;
};

/*
 * Opens an image of at most `file_bytes`; caches of so many metadata blocks and bytes of data and
 * fragments. To be closed also when it returns false.
 */
bool squash_open(struct squash *image, uint64_t file_bytes, size_t metadata_blocks,
		 size_t data_bytes, size_t fragment_bytes);
void squash_close(struct squash *image);

/* Sets the cause; returns false. */
bool squash_fail(struct squash *image, const char *cause);
bool squash_fail_without_memory(struct squash *image);

/* Bytes of the file as they are. */
bool squash_bytes(struct squash *image, void *buffer, size_t count, uint64_t offset);

bool squash_inode(struct squash *image, uint64_t id, struct inode *inode);
bool squash_id(struct squash *image, uint32_t index, uint32_t *id);

/* Reads on at the cursor, and moves it. */
bool squash_metadata(struct squash *image, struct cursor *cursor, void *buffer, size_t size);
bool squash_skip(struct squash *image, struct cursor *cursor, size_t size);
bool squash_record(struct squash *image, const struct table *table, uint32_t index, void *record);

/* A stored block of data or a fragment, whose header says its size; it stays until the next call.
 */
bool squash_block(struct squash *image, struct cache *cache, uint64_t position, uint32_t header,
		  const uint8_t **bytes, size_t *size);

/* Lists begin at 0 or where an entry has said; the mode of the inode must be a directory's. */
bool squash_list(struct squash *image, const struct inode *inode, uint64_t offset,
		 struct directory *directory);
enum step squash_next_entry(struct squash *image, struct directory *directory, struct entry *entry);
void squash_marks(const struct squash *image, const struct inode *inode,
		  struct marks_of_list *marks);
/* To be called marks->left times. */
bool squash_next_mark(struct squash *image, struct marks_of_list *marks, struct mark_of_list *mark);
bool squash_lookup(struct squash *image, const struct inode *inode, const char *name,
		   struct entry *entry, bool *found);

/* The blocks of a file; what is left of it is in a fragment, which other files share. */
uint64_t squash_block_count(const struct squash *image, const struct inode *inode);
void squash_blocks(const struct squash *image, const struct inode *inode, struct blocks *blocks);
/* The next part of the file, NULL for a hole; it stays until the next call. No bytes at the end. */
bool squash_next_part(struct squash *image, const struct inode *inode, struct blocks *blocks,
		      const uint8_t **bytes, size_t *size);
/* *size bytes at the offset, fewer at the end of the file. */
bool squash_read(struct squash *image, const struct inode *inode, uint64_t offset, void *buffer,
		 size_t *size);
/* All of a link's text, LINK_MAX_BYTES at most; no NUL follows. */
bool squash_link(struct squash *image, const struct inode *inode, char *buffer);

bool squash_attributes(struct squash *image, const struct inode *inode, struct attributes *all);
/* To be called all->left times. */
bool squash_next_attribute(struct squash *image, struct attributes *all, struct attribute *next);

#endif
