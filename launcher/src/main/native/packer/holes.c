#include "holes.h"
#include "blocks.h"
#include "require.h"

#include <stdlib.h>
#include <string.h>

struct hole {
	uint32_t content;
	uint64_t first;
	uint64_t blocks;
};

/* In order: of the first file with a hole its holes, then those of the next. */
static struct hole *holes;
static size_t hole_count, hole_room;

void note_hole(uint32_t content, uint64_t first, uint64_t blocks)
{
	if (hole_count == hole_room) {
		hole_room = hole_room == 0 ? 64 : 2 * hole_room;
		holes = require_memory(reallocarray(holes, hole_room, sizeof(*holes)));
	}
	holes[hole_count++] = (struct hole){content, first, blocks};
}

/* The first hole of a file, or where it would be. */
static size_t find(uint32_t content)
{
	size_t from = 0, to = hole_count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (holes[middle].content < content)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static sqfs_inode_generic_t *with_room(const sqfs_inode_generic_t *inode, uint64_t blocks)
{
	size_t bytes = (size_t)blocks * sizeof(inode->extra[0]);

	require(bytes <= UINT32_MAX, "a file of too many blocks");
	sqfs_inode_generic_t *copy = require_memory(calloc(1, sizeof(*copy) + bytes));

	memcpy(copy, inode, sizeof(*inode));
	copy->payload_bytes_used = copy->payload_bytes_available = (sqfs_u32)bytes;
	return copy;
}

sqfs_inode_generic_t *with_holes(uint32_t content, sqfs_inode_generic_t *inode)
{
	size_t first = find(content), end = first;
	uint64_t packed = inode->payload_bytes_used / sizeof(inode->extra[0]), zeros = 0, size;

	for (; end < hole_count && holes[end].content == content; end++)
		zeros += holes[end].blocks;
	if (zeros == 0)
		return inode;
	sqfs_inode_generic_t *whole = with_room(inode, packed + zeros);
	uint64_t from = 0, to = 0;

	for (size_t i = first; i < end; i++) {
		uint64_t before = holes[i].first - to;

		memcpy(&whole->extra[to], &inode->extra[from], before * sizeof(whole->extra[0]));
		from += before;
		to += before + holes[i].blocks;
	}
	memcpy(&whole->extra[to], &inode->extra[from], (packed - from) * sizeof(whole->extra[0]));
	require_ok(sqfs_inode_make_extended(whole), "extend an inode");
	require_ok(sqfs_inode_get_file_size(whole, &size), "read a size");
	require_ok(sqfs_inode_set_file_size(whole, size + zeros * BLOCK_BYTES), "set a size");
	whole->data.file_ext.sparse += zeros * BLOCK_BYTES;
	sqfs_free(inode);
	return whole;
}
