/* What an image is made of: stored blocks, metadata, tables. */
#include "squash.h"
#include "common/little.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

bool squash_fail(struct squash *image, const char *cause)
{
	image->cause = cause;
	return false;
}

bool squash_fail_without_memory(struct squash *image)
{
	image->no_memory = true;
	return squash_fail(image, "no memory");
}

bool squash_bytes(struct squash *image, void *buffer, size_t count, uint64_t offset)
{
	if (offset > image->super.bytes || count > image->super.bytes - offset)
		return squash_fail(image, "a block or table lies beyond the end of the image");
	return read_image(buffer, count, offset) || squash_fail(image, "the file cannot be read");
}

/* Blocks are stored as they are where compressing would not make them smaller. */
static bool read_block(struct squash *image, uint64_t position, bool compressed, size_t stored,
		       struct cached *block, size_t room)
{
	size_t size = room;

	if (stored == 0 || stored > room)
		return squash_fail(image, "a block is larger than the image's blocks are");
	if (block->bytes == NULL && (block->bytes = malloc(room)) == NULL)
		return squash_fail_without_memory(image);
	if (!compressed) {
		block->size = (uint32_t)stored;
		return squash_bytes(image, block->bytes, stored, position);
	}
	if (!squash_bytes(image, image->stored, stored, position))
		return false;
	if (image->decompress(image->stored, stored, block->bytes, &size) != SQFS_OK || size == 0 ||
	    size > room)
		return squash_fail(image, "a block cannot be decompressed");
	block->size = (uint32_t)size;
	return true;
}

/* The block at this position, or else the one to be used for it, which is then empty. */
static struct cached *cache_find(struct cache *cache, uint64_t position)
{
	size_t oldest = 0;

	if (cache->blocks[cache->last].position == position)
		return &cache->blocks[cache->last];
	for (size_t i = 0; i < cache->count; i++) {
		struct cached *block = &cache->blocks[i];
		if (block->position == position) {
			block->used = ++cache->clock;
			cache->last = i;
			return block;
		}
		if (block->used < cache->blocks[oldest].used)
			oldest = i;
	}
	cache->blocks[oldest].position = 0;
	cache->blocks[oldest].used = ++cache->clock;
	cache->last = oldest;
	return &cache->blocks[oldest];
}

static struct cached *metadata_block(struct squash *image, uint64_t position)
{
	struct cached *block = cache_find(&image->metadata, position);
	uint8_t head[2];

	if (block->position == position)
		return block;
	if (!squash_bytes(image, head, sizeof(head), position))
		return NULL;
	uint16_t header = u16_at(head);
	size_t stored = header & (SQUASHFS_COMPRESSED_BIT - 1);
	if (!read_block(image, position + sizeof(head), (header & SQUASHFS_COMPRESSED_BIT) == 0,
			stored, block, METADATA_BYTES))
		return NULL;
	block->position = position;
	block->next = position + sizeof(head) + stored;
	return block;
}

static bool move(struct squash *image, struct cursor *cursor, uint8_t *buffer, size_t size)
{
	while (size > 0) {
		if (cursor->block < SUPER_BYTES || cursor->block >= cursor->end)
			return squash_fail(image, "a table ends too early");
		struct cached *block = metadata_block(image, cursor->block);
		if (block == NULL)
			return false;
		if (cursor->offset > block->size)
			return squash_fail(image, "a place in a table lies outside its block");
		size_t take = block->size - cursor->offset;
		if (take > size)
			take = size;
		if (buffer != NULL) {
			memcpy(buffer, block->bytes + cursor->offset, take);
			buffer += take;
		}
		size -= take;
		cursor->offset += (uint32_t)take;
		if (cursor->offset == block->size) {
			cursor->block = block->next;
			cursor->offset = 0;
		}
	}
	return true;
}

bool squash_metadata(struct squash *image, struct cursor *cursor, void *buffer, size_t size)
{
	return move(image, cursor, buffer, size);
}

bool squash_skip(struct squash *image, struct cursor *cursor, size_t size)
{
	return move(image, cursor, NULL, size);
}

bool squash_record(struct squash *image, const struct table *table, uint32_t index, void *record)
{
	if (index >= table->records)
		return squash_fail(image, "a number lies beyond the end of its table");
	/* Records do not cross blocks: their sizes divide METADATA_BYTES. */
	uint64_t at = (uint64_t)index * table->record_bytes;
	struct cursor cursor = {.block = table->blocks[at / METADATA_BYTES],
				.end = table->end,
				.offset = (uint32_t)(at % METADATA_BYTES)};
	return squash_metadata(image, &cursor, record, table->record_bytes);
}

bool squash_block(struct squash *image, struct cache *cache, uint64_t position, uint32_t header,
		  const uint8_t **bytes, size_t *size)
{
	struct cached *block = cache_find(cache, position);
	size_t stored = header & (SQUASHFS_COMPRESSED_BIT_BLOCK - 1);

	if (header >= SQUASHFS_COMPRESSED_BIT_BLOCK << 1 || position < SUPER_BYTES)
		return squash_fail(image, "the size of a block makes no sense");
	/* Another file may say another size of the block at this position. */
	if (block->position != position || block->next != header) {
		block->position = 0;
		if (!read_block(image, position, (header & SQUASHFS_COMPRESSED_BIT_BLOCK) == 0,
				stored, block, image->super.block_size))
			return false;
		block->position = position;
		block->next = header;
	}
	*bytes = block->bytes;
	*size = block->size;
	return true;
}

bool squash_id(struct squash *image, uint32_t index, uint32_t *id)
{
	if (!squash_record(image, &image->ids, index, id))
		return false;
	*id = le32toh(*id);
	return true;
}
