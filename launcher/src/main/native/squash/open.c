/* Opens an image: superblock and tables. */
#include "common/little.h"
#include "squash.h"

#include <endian.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
	INDEX_MAX_BYTES = 1 << 20, /* of a table: 67 million fragments */
	BLOCK_LOG_MIN = 12,
	INODE_MIN_BYTES = 20,
	ATTRIBUTE_HEAD_BYTES = 16,
	STORED_MIN_BYTES = 3, /* of a metadata block */
};

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
		return squash_fail_without_memory(image);
	if (!squash_bytes(image, table->blocks, count * sizeof(uint64_t), start))
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

	if (!squash_bytes(image, head, sizeof(head), start))
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
	/* A squashfuse may have been built to read it, that of another node not. */
	if (compression == LZMA_COMPRESSION)
		return squash_fail(image, "it is compressed by lzma, which Linux does not read");
	image->decompress = sqfs_decompressor_get((sqfs_compression_type)compression);
	if (image->decompress == NULL)
		return squash_fail(image, "its kind of compression is unknown");
	return true;
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
	if (!squash_bytes(image, bytes, sizeof(bytes), 0) || !parse_super(image, bytes, file_bytes))
		return false;
	size_t block_size = image->super.block_size;
	image->stored = malloc(block_size < METADATA_BYTES ? METADATA_BYTES : block_size);
	if (image->stored == NULL ||
	    !cache_init(&image->metadata, metadata_blocks, METADATA_BYTES) ||
	    !cache_init(&image->data, blocks_for(data_bytes, block_size), block_size) ||
	    !cache_init(&image->fragments, blocks_for(fragment_bytes, block_size), block_size))
		return squash_fail_without_memory(image);
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
