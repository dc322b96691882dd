/* Stores the blocks of files, those of equal files once. */
#ifndef LAYERCAKE_BLOCKS_H
#define LAYERCAKE_BLOCKS_H

#include <sqfs/block_writer.h>
#include <sqfs/io.h>

enum { BLOCK_BYTES = 128 << 10 };

sqfs_block_writer_t *block_writer_create(sqfs_file_t *file);

#endif
