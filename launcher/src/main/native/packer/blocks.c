/* Stores the blocks of files one after the other, and finds out at a file's end whether an earlier
 * file has the same ones.
 *
 * libsquashfs has such a writer, too. It compares each file's blocks with all before it, so that
 * its time grows with the square of their number; this one looks them up. */
#include "blocks.h"
#include "require.h"

#include <sqfs/block.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct block {
	uint64_t offset;
	uint64_t key; /* of the block's bytes and of how they are stored */
};

/* The blocks of a file. */
struct run {
	uint64_t key;
	size_t first;
	size_t count;
};

struct writer {
	sqfs_block_writer_t base; /* first: libsquashfs knows only this part */
	sqfs_file_t *file;
	struct block *blocks;
	size_t count, room;
	size_t file_start; /* first block of the file that is being written */
	struct run *runs;  /* a hash table; count is 0 where it is free */
	size_t run_count, run_room;
};

/* As block sizes are stored in inodes: with this bit the block is not compressed. */
static const uint32_t UNCOMPRESSED = 1 << 24;
static const uint32_t SIZE_BITS = UNCOMPRESSED - 1;

static size_t stored_bytes(const struct block *block)
{
	return (block->key >> 32) & SIZE_BITS;
}

static void add_block(struct writer *writer, uint64_t offset, uint64_t key)
{
	if (writer->count == writer->room) {
		writer->room = writer->room == 0 ? 1024 : 2 * writer->room;
		writer->blocks = require_memory(
		    reallocarray(writer->blocks, writer->room, sizeof(struct block)));
	}
	writer->blocks[writer->count++] = (struct block){offset, key};
}

static struct run last_run(const struct writer *writer)
{
	struct run run = {.first = writer->file_start,
			  .count = writer->count - writer->file_start,
			  .key = 0xcbf29ce484222325};

	for (size_t i = 0; i < run.count; i++) {
		run.key = (run.key ^ writer->blocks[run.first + i].key) * 0x9e3779b97f4a7c15;
		run.key ^= run.key >> 29;
	}
	return run;
}

/* Where the next place of a run is to be looked for. */
static size_t after(const struct writer *writer, size_t place)
{
	return (place + 1) & (writer->run_room - 1);
}

static void insert(struct writer *writer, struct run run)
{
	size_t place = run.key & (writer->run_room - 1);

	while (writer->runs[place].count != 0)
		place = after(writer, place);
	writer->runs[place] = run;
}

static void add_run(struct writer *writer, struct run run)
{
	if (2 * (writer->run_count + 1) > writer->run_room) {
		struct run *old = writer->runs;
		size_t old_room = writer->run_room;

		writer->run_room = old_room == 0 ? 1024 : 2 * old_room;
		writer->runs = require_memory(calloc(writer->run_room, sizeof(struct run)));
		for (size_t i = 0; i < old_room; i++)
			if (old[i].count != 0)
				insert(writer, old[i]);
		free(old);
	}
	insert(writer, run);
	writer->run_count++;
}

static bool is_equal(struct writer *writer, const struct run *a, const struct run *b)
{
	static uint8_t bytes_a[BLOCK_BYTES], bytes_b[BLOCK_BYTES];

	if (a->key != b->key || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct block *block_a = &writer->blocks[a->first + i];
		const struct block *block_b = &writer->blocks[b->first + i];
		size_t size = stored_bytes(block_a);

		if (block_a->key != block_b->key || size > sizeof(bytes_a))
			return false;
		require_ok(writer->file->read_at(writer->file, block_a->offset, bytes_a, size),
			   "read a block");
		require_ok(writer->file->read_at(writer->file, block_b->offset, bytes_b, size),
			   "read a block");
		if (memcmp(bytes_a, bytes_b, size) != 0)
			return false;
	}
	return true;
}

/* Gives the place of the file's first block, which is an earlier file's when that is equal. */
static uint64_t end_file(struct writer *writer)
{
	struct run run = last_run(writer);

	if (run.count == 0) /* all zeros, which are not stored */
		return 0;
	if (writer->run_room > 0)
		for (size_t place = run.key & (writer->run_room - 1);
		     writer->runs[place].count != 0; place = after(writer, place))
			if (is_equal(writer, &writer->runs[place], &run)) {
				uint64_t cut = writer->blocks[run.first].offset;

				writer->count = run.first;
				require_ok(writer->file->truncate(writer->file, cut),
					   "take back a file");
				return writer->blocks[writer->runs[place].first].offset;
			}
	add_run(writer, run);
	return writer->blocks[run.first].offset;
}

static int write_data_block(sqfs_block_writer_t *base, void *user, sqfs_u32 size, sqfs_u32 checksum,
			    sqfs_u32 flags, const sqfs_u8 *data, sqfs_u64 *location)
{
	struct writer *writer = (struct writer *)base;

	(void)user;
	if (flags & SQFS_BLK_FIRST_BLOCK)
		writer->file_start = writer->count;
	*location = writer->file->get_size(writer->file);
	if (size != 0 && !(flags & SQFS_BLK_IS_SPARSE)) {
		sqfs_u32 stored = flags & SQFS_BLK_IS_COMPRESSED ? size : size | UNCOMPRESSED;

		add_block(writer, *location, (uint64_t)stored << 32 | checksum);
		require_ok(writer->file->write_at(writer->file, *location, data, size),
			   "write a block");
	}
	if (flags & SQFS_BLK_LAST_BLOCK)
		*location = end_file(writer);
	return 0;
}

static sqfs_u64 get_block_count(const sqfs_block_writer_t *base)
{
	return ((const struct writer *)base)->count;
}

static void destroy(sqfs_object_t *object)
{
	(void)object;
}

sqfs_block_writer_t *block_writer_create(sqfs_file_t *file)
{
	struct writer *writer = require_memory(calloc(1, sizeof(*writer)));

	writer->base.base.destroy = destroy;
	writer->base.write_data_block = write_data_block;
	writer->base.get_block_count = get_block_count;
	writer->file = file;
	return &writer->base;
}
