#define _GNU_SOURCE
#include "image.h"
#include "blocks.h"
#include "output.h"
#include "require.h"

#include <sched.h>
#include <sqfs/compressor.h>

enum {
	COMPRESSION_LEVEL = 3,
	PADDING = 4096, /* the kernel mounts whole pages */
	MAX_WORKERS = 16,
	BACKLOG = 64, /* blocks in flight: 8 MiB; it decides on the order, so it is fixed */
};

struct packed image;

/* Nothing is smaller than it is: so tables are stored as they are, and the chunker finds in them
 * what has not changed. */
static sqfs_s32 do_not_compress(sqfs_compressor_t *compressor, const sqfs_u8 *in, sqfs_u32 size,
				sqfs_u8 *out, sqfs_u32 room)
{
	(void)compressor;
	(void)in;
	(void)size;
	(void)out;
	(void)room;
	return 0;
}

static sqfs_compressor_t no_compressor = {.do_block = do_not_compress};

static sqfs_compressor_t *zstd(uint16_t flags)
{
	sqfs_compressor_config_t config;
	sqfs_compressor_t *compressor;

	require_ok(sqfs_compressor_config_init(&config, SQFS_COMP_ZSTD, BLOCK_BYTES, flags),
		   "use zstd");
	config.level = COMPRESSION_LEVEL;
	require_ok(sqfs_compressor_create(&config, &compressor), "use zstd");
	return compressor;
}

/* As many as there are processors, and not more than `most`. */
static uint32_t workers(unsigned most)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	if (count > MAX_WORKERS)
		count = MAX_WORKERS;
	return (unsigned)count < most ? (unsigned)count : most;
}

void image_begin(const char *path, unsigned processors)
{
	sqfs_block_processor_desc_t description = {
	    .size = sizeof(description),
	    .max_block_size = BLOCK_BYTES,
	    .num_workers = workers(processors),
	    .max_backlog = BACKLOG,
	};

	image.file = output_create(path);
	image.compressor = zstd(0);
	image.uncompressor = zstd(SQFS_COMP_FLAG_UNCOMPRESS);
	require_ok(sqfs_super_init(&image.super, BLOCK_BYTES, 0, SQFS_COMP_ZSTD),
		   "make a superblock");
	require_ok(sqfs_super_write(&image.super, image.file), "write the superblock");
	int options = image.compressor->write_options(image.compressor, image.file);

	require_ok(options, "write the compressor's options");
	if (options > 0)
		image.super.flags |= SQFS_FLAG_COMPRESSOR_OPTIONS;
	image.super.flags |= SQFS_FLAG_UNCOMPRESSED_INODES;
	image.fragments = require_memory(sqfs_frag_table_create(0));
	image.ids = require_memory(sqfs_id_table_create(0));
	image.attributes = require_memory(sqfs_xattr_writer_create(0));
	image.inodes = require_memory(sqfs_meta_writer_create(image.file, &no_compressor, 0));
	image.names = require_memory(
	    sqfs_meta_writer_create(image.file, image.compressor, SQFS_META_WRITER_KEEP_IN_MEMORY));
	image.directory = require_memory(sqfs_dir_writer_create(image.names, 0));
	description.cmp = image.compressor;
	description.uncmp = image.uncompressor;
	description.file = image.file;
	description.tbl = image.fragments;
	description.wr = block_writer_create(image.file);
	require_ok(sqfs_block_processor_create_ex(&description, &image.processor),
		   "start the compressing threads");
}

void image_end(void)
{
	uint16_t root;

	require_ok(sqfs_id_table_id_to_index(image.ids, 0, &root), "add an id");
	require_ok(sqfs_meta_writer_flush(image.inodes), "write inodes");
	image.super.directory_table_start = image.file->get_size(image.file);
	require_ok(sqfs_meta_writer_flush(image.names), "write directories");
	require_ok(sqfs_meta_write_write_to_file(image.names), "write directories");
	require_ok(
	    sqfs_frag_table_write(image.fragments, image.file, &image.super, image.compressor),
	    "write the fragment table");
	require_ok(sqfs_id_table_write(image.ids, image.file, &image.super, image.compressor),
		   "write the id table");
	require_ok(
	    sqfs_xattr_writer_flush(image.attributes, image.file, &image.super, image.compressor),
	    "write attributes");
	image.super.bytes_used = image.file->get_size(image.file);
	require_ok(sqfs_super_write(&image.super, image.file), "write the superblock");
	uint64_t whole = (image.super.bytes_used + PADDING - 1) / PADDING * PADDING;

	if (whole > image.super.bytes_used)
		require_ok(image.file->truncate(image.file, whole), "pad the image");
	output_close(image.file);
}
