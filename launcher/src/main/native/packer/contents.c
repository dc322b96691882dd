#include "contents.h"
#include "image.h"
#include "input.h"
#include "require.h"

#include <stdlib.h>
#include <string.h>

enum { CONTENTS_PER_SHELF = 4096 };

static const char MAGIC[8] = {'l', 'c', 'p', 'a', 'c', 'k', '1', '\n'};

/* libsquashfs keeps the places of the pointers, so they must not move. */
static sqfs_inode_generic_t **shelves[MAX_INODES / CONTENTS_PER_SHELF];
static uint32_t content_count, taken;

static sqfs_inode_generic_t **content(uint32_t number)
{
	return &shelves[number / CONTENTS_PER_SHELF][number % CONTENTS_PER_SHELF];
}

static void read_content(void)
{
	require(content_count < MAX_INODES, "too many files");
	if (content_count % CONTENTS_PER_SHELF == 0)
		shelves[content_count / CONTENTS_PER_SHELF] =
		    require_memory(calloc(CONTENTS_PER_SHELF, sizeof(sqfs_inode_generic_t *)));
	require_ok(
	    sqfs_block_processor_begin_file(image.processor, content(content_count++), NULL, 0),
	    "begin a file");
	for (uint64_t left = read_u64(); left > 0;) {
		size_t length;
		const void *bytes = read_some(left, &length);

		require_ok(sqfs_block_processor_append(image.processor, bytes, length),
			   "pack a file");
		left -= length;
	}
	require_ok(sqfs_block_processor_end_file(image.processor), "end a file");
}

void read_contents(void)
{
	char magic[sizeof(MAGIC)];
	uint8_t kind;

	read_bytes(magic, sizeof(magic));
	require(memcmp(magic, MAGIC, sizeof(magic)) == 0, "it begins otherwise");
	while ((kind = read_u8()) == 'C')
		read_content();
	require(kind == 'T', "neither a file nor the tree");
	require_ok(sqfs_block_processor_finish(image.processor), "pack the last files");
}

sqfs_inode_generic_t *take_content(uint32_t number)
{
	require(number < content_count && *content(number) != NULL, "an impossible content");
	sqfs_inode_generic_t *inode = *content(number);

	*content(number) = NULL;
	taken++;
	return inode;
}

void require_all_taken(void)
{
	require(taken == content_count, "a content that no file has");
}
