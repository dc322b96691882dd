/* The image that is being made, in libsquashfs' terms. */
#ifndef LAYERCAKE_PACKED_IMAGE_H
#define LAYERCAKE_PACKED_IMAGE_H

#include <sqfs/block_processor.h>
#include <sqfs/dir_writer.h>
#include <sqfs/frag_table.h>
#include <sqfs/id_table.h>
#include <sqfs/io.h>
#include <sqfs/meta_writer.h>
#include <sqfs/super.h>
#include <sqfs/xattr_writer.h>

enum { MAX_INODES = 1 << 24 }; /* of each kind; much more than whoever calls allows */

struct packed {
	sqfs_file_t *file;
	sqfs_super_t super;
	sqfs_compressor_t *compressor;
	sqfs_compressor_t *uncompressor;
	sqfs_block_processor_t *processor;
	sqfs_frag_table_t *fragments;
	sqfs_id_table_t *ids;
	sqfs_xattr_writer_t *attributes;
	sqfs_meta_writer_t *inodes;
	sqfs_meta_writer_t *names;
	sqfs_dir_writer_t *directory;
};

extern struct packed image;

/* Compresses with so many threads at most. */
void image_begin(const char *path, unsigned processors);
void image_end(void);

#endif
