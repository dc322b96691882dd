#include "contents.h"
#include "blocks.h"
#include "holes.h"
#include "image.h"
#include "input.h"
#include "require.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CONTENTS_PER_SHELF = 4096 };

static const uint64_t MAX_FILE_BYTES = 1ULL << 41; /* more than whoever calls allows */
static const char MAGIC[8] = {'l', 'c', 'p', 'a', 'c', 'k', '1', '\n'};

/* libsquashfs keeps the places of the pointers, so they must not move. */
static sqfs_inode_generic_t **shelves[MAX_INODES / CONTENTS_PER_SHELF];
static uint32_t content_count, taken;

static sqfs_inode_generic_t **content(uint32_t number)
{
	return &shelves[number / CONTENTS_PER_SHELF][number % CONTENTS_PER_SHELF];
}

static void append(const void *bytes, size_t length)
{
	require_ok(sqfs_block_processor_append(image.processor, bytes, length), "pack a file");
}

static void read_data(uint64_t left)
{
	while (left > 0) {
		size_t length;
		const void *bytes = read_some(left, &length);

		append(bytes, length);
		left -= length;
	}
}

static void append_zeros(uint64_t count)
{
	static const uint8_t zeros[BLOCK_BYTES];

	if (count > 0) /* libsquashfs cannot bear to append nothing */
		append(zeros, (size_t)count);
}

/* At a place of the file. Whole blocks would be recognized one by one, which takes a minute for
 * some hundred GB. */
static void add_zeros(uint64_t at, uint64_t count)
{
	uint64_t before = (BLOCK_BYTES - at % BLOCK_BYTES) % BLOCK_BYTES;

	before = before < count ? before : count;
	append_zeros(before);
	count -= before;
	if (count >= BLOCK_BYTES)
		note_hole(content_count - 1, (at + before) / BLOCK_BYTES, count / BLOCK_BYTES);
	append_zeros(count % BLOCK_BYTES);
}

static void read_parts(uint64_t size)
{
	for (uint64_t at = 0; at < size;) {
		uint64_t zeros = read_u64();
		uint64_t length = read_u64();

		require(zeros <= size - at && length <= size - at - zeros && zeros + length > 0,
			"an impossible part of a file");
		add_zeros(at, zeros);
		read_data(length);
		at += zeros + length;
	}
}

static void read_content(bool has_holes)
{
	require(content_count < MAX_INODES, "too many files");
	if (content_count % CONTENTS_PER_SHELF == 0)
		shelves[content_count / CONTENTS_PER_SHELF] =
		    require_memory(calloc(CONTENTS_PER_SHELF, sizeof(sqfs_inode_generic_t *)));
	require_ok(
	    sqfs_block_processor_begin_file(image.processor, content(content_count++), NULL, 0),
	    "begin a file");
	uint64_t length = read_u64();

	require(length <= MAX_FILE_BYTES, "a file that is too long");
	if (has_holes)
		read_parts(length);
	else
		read_data(length);
	require_ok(sqfs_block_processor_end_file(image.processor), "end a file");
}

void read_contents(void)
{
	char magic[sizeof(MAGIC)];
	uint8_t kind;

	read_bytes(magic, sizeof(magic));
	require(memcmp(magic, MAGIC, sizeof(magic)) == 0, "it begins otherwise");
	while ((kind = read_u8()) == 'C' || kind == 'H')
		read_content(kind == 'H');
	require(kind == 'T', "neither a file nor the tree");
	require_ok(sqfs_block_processor_finish(image.processor), "pack the last files");
}

sqfs_inode_generic_t *take_content(uint32_t number)
{
	require(number < content_count && *content(number) != NULL, "an impossible content");
	sqfs_inode_generic_t *inode = *content(number);

	*content(number) = NULL;
	taken++;
	return with_holes(number, inode);
}

void require_all_taken(void)
{
	require(taken == content_count, "a content that no file has");
}
