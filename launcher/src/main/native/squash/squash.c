/* The frame of an image: superblock, metadata blocks, tables. */
#include "squash.h"
#include "common/little.h"

#include <endian.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
	SUPER_BYTES = 96,
	INDEX_MAX_BYTES = 1 << 20, /* of a table: 67 million fragments */
	BLOCK_LOG_MIN = 12,
	INODE_MIN_BYTES = 20,
	ATTRIBUTE_HEAD_BYTES = 16,
	STORED_MIN_BYTES = 3, /* of a metadata block */
};

bool squash_fail(struct squash *image, const char *cause)
{
	image->cause = cause;
	return false;
}

static bool fail_without_memory(struct squash *image)
{
	image->no_memory = true;
	return squash_fail(image, "no memory");
}

static bool read_bytes(struct squash *image, void *buffer, size_t count, uint64_t offset)
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
		return fail_without_memory(image);
	if (!compressed) {
		block->size = (uint32_t)stored;
		return read_bytes(image, block->bytes, stored, position);
	}
	if (!read_bytes(image, image->stored, stored, position))
		return false;
	if (image->decompress(image->stored, stored, block->bytes, &size) != SQFS_OK || size == 0 ||
	    size > room)
		return squash_fail(image, "a block cannot be decompressed");
	block->size = (uint32_t)size;
	return true;
}

static bool cache_init(struct cache *cache, size_t count, size_t room)
{
	*cache = (struct cache){.count = count, .room = room};
	cache->blocks = calloc(count, sizeof(*cache->blocks));
	return cache->blocks != NULL;
}

static void cache_free(struct cache *cache)
{
	for (size_t i = 0; cache->blocks != NULL && i < cache->count; i++)
		free(cache->blocks[i].bytes);
	free(cache->blocks);
	*cache = (struct cache){0};
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
	if (!read_bytes(image, head, sizeof(head), position))
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

/*
 * The positions of a table's blocks are at `start`, and the blocks before it, in order and without
 * gaps. That bounds the number of records by the size of the file.
 */
static bool open_table(struct squash *image, struct table *table, uint64_t start, uint32_t records,
		       uint32_t record_bytes, uint64_t end)
{
	uint64_t bytes = (uint64_t)records * record_bytes;
	size_t count = (size_t)((bytes + METADATA_BYTES - 1) / METADATA_BYTES);

	*table = (struct table){.records = records, .record_bytes = record_bytes, .end = start};
	if (records == 0)
		return true;
	if (count > INDEX_MAX_BYTES / sizeof(uint64_t) || start > end ||
	    count * sizeof(uint64_t) > end - start)
		return squash_fail(image, "a table has more records than there is room for");
	table->blocks = malloc(count * sizeof(uint64_t));
	if (table->blocks == NULL)
		return fail_without_memory(image);
	if (!read_bytes(image, table->blocks, count * sizeof(uint64_t), start))
		return false;
	uint64_t least = image->super.directory_table;
	for (size_t i = 0; i < count; i++) {
		uint64_t position = le64toh(table->blocks[i]);
		if (position < least || position >= start)
			return squash_fail(image, "a table's block lies outside the table");
		table->blocks[i] = position;
		least = position + STORED_MIN_BYTES;
	}
	return true;
}

static bool open_attributes(struct squash *image, uint64_t start)
{
	uint8_t head[ATTRIBUTE_HEAD_BYTES];

	if (!read_bytes(image, head, sizeof(head), start))
		return false;
	image->attributes = u64_at(head);
	if (image->attributes < image->super.directory_table || image->attributes > start)
		return squash_fail(image, "the attributes lie outside their table");
	if (!open_table(image, &image->attribute_table, start + sizeof(head), u32_at(head + 8), 16,
			image->super.bytes))
		return false;
	image->attribute_table.end = start;
	image->super.has_attributes = image->attribute_table.records > 0;
	return true;
}

/* Tables that are not there have the last number as their place. */
static bool is_ordered(const uint64_t *starts, size_t count, uint64_t bytes)
{
	uint64_t last = SUPER_BYTES;

	for (size_t i = 0; i < count; i++) {
		if (starts[i] == UINT64_MAX)
			continue;
		if (starts[i] < last)
			return false;
		last = starts[i];
	}
	return last <= bytes;
}

static bool parse_compression(struct squash *image, unsigned compression)
{
	image->decompress = sqfs_decompressor_get((sqfs_compression_type)compression);
	if (image->decompress != NULL)
		return true;
	return squash_fail(image, compression == LZMA_COMPRESSION
				      ? "it is compressed by lzma, which nothing reads any more"
				      : "its kind of compression is unknown");
}

static bool parse_super(struct squash *image, const uint8_t *bytes, uint64_t file_bytes)
{
	struct super *super = &image->super;

	if (u32_at(bytes) != SQUASHFS_MAGIC)
		return squash_fail(image, "it is not a squashfs file");
	if (u16_at(bytes + 28) != SQUASHFS_MAJOR || u16_at(bytes + 30) != SQUASHFS_MINOR)
		return squash_fail(image, "it is squashfs of another version than 4.0");
	super->inodes = u32_at(bytes + 4);
	super->block_size = u32_at(bytes + 12);
	super->fragments = u32_at(bytes + 16);
	super->ids = u16_at(bytes + 26);
	super->root = u64_at(bytes + 32);
	super->bytes = u64_at(bytes + 40);
	super->inode_table = u64_at(bytes + 64);
	super->directory_table = u64_at(bytes + 72);
	unsigned block_log = u16_at(bytes + 22);
	if (block_log < BLOCK_LOG_MIN || block_log > SQUASHFS_FILE_MAX_LOG ||
	    super->block_size != 1U << block_log)
		return squash_fail(image, "the size of its blocks makes no sense");
	if (super->bytes > file_bytes)
		return squash_fail(image, "the file ends before the image does");
	if (!parse_compression(image, u16_at(bytes + 20)))
		return false;
	if (super->inode_table == UINT64_MAX || super->directory_table == UINT64_MAX ||
	    super->directory_table <= super->inode_table)
		return squash_fail(image, "its tables overlap");
	uint64_t most = (super->directory_table - super->inode_table) / STORED_MIN_BYTES + 1;
	if (super->inodes / (METADATA_BYTES / INODE_MIN_BYTES) > most)
		return squash_fail(image, "it has more inodes than there is room for");
	return true;
}

static bool open_tables(struct squash *image, const uint8_t *bytes)
{
	struct super *super = &image->super;
	uint64_t fragments = super->fragments == 0 ? UINT64_MAX : u64_at(bytes + 80);
	uint64_t exports = u64_at(bytes + 88);
	uint64_t ids = u64_at(bytes + 48);
	uint64_t attributes = u64_at(bytes + 56);
	uint64_t starts[] = {super->inode_table, super->directory_table, fragments, exports, ids,
			     attributes};

	if (super->ids == 0 || !is_ordered(starts, sizeof(starts) / sizeof(*starts), super->bytes))
		return squash_fail(image, "its tables overlap");
	return open_table(image, &image->fragment_table, fragments, super->fragments, 16,
			  exports != UINT64_MAX ? exports : ids) &&
	       open_table(image, &image->ids, ids, super->ids, 4,
			  attributes != UINT64_MAX ? attributes : super->bytes) &&
	       (attributes == UINT64_MAX || open_attributes(image, attributes));
}

static size_t blocks_for(size_t bytes, size_t block_size)
{
	return bytes < block_size ? 1 : bytes / block_size;
}

bool squash_open(struct squash *image, uint64_t file_bytes, size_t metadata_blocks,
		 size_t data_bytes, size_t fragment_bytes)
{
	uint8_t bytes[SUPER_BYTES];
	struct inode root;

	*image = (struct squash){.super.bytes = sizeof(bytes)};
	if (file_bytes < sizeof(bytes))
		return squash_fail(image, "it is not a squashfs file");
	if (!read_bytes(image, bytes, sizeof(bytes), 0) || !parse_super(image, bytes, file_bytes))
		return false;
	size_t block_size = image->super.block_size;
	image->stored = malloc(block_size < METADATA_BYTES ? METADATA_BYTES : block_size);
	if (image->stored == NULL ||
	    !cache_init(&image->metadata, metadata_blocks, METADATA_BYTES) ||
	    !cache_init(&image->data, blocks_for(data_bytes, block_size), block_size) ||
	    !cache_init(&image->fragments, blocks_for(fragment_bytes, block_size), block_size))
		return fail_without_memory(image);
	if (!open_tables(image, bytes) || !squash_inode(image, image->super.root, &root))
		return false;
	return S_ISDIR(root.mode) || squash_fail(image, "its root is not a directory");
}

void squash_close(struct squash *image)
{
	cache_free(&image->metadata);
	cache_free(&image->data);
	cache_free(&image->fragments);
	free(image->stored);
	free(image->ids.blocks);
	free(image->fragment_table.blocks);
	free(image->attribute_table.blocks);
	for (int i = 0; i < INDEXED_FILES; i++)
		free(image->marks[i].all);
	*image = (struct squash){0};
}

bool squash_id(struct squash *image, uint32_t index, uint32_t *id)
{
	if (!squash_record(image, &image->ids, index, id))
		return false;
	*id = le32toh(*id);
	return true;
}
