/* The parts of `pack`: see pack.c. */
#ifndef LAYERCAKE_PACK_H
#define LAYERCAKE_PACK_H

#include <sqfs/block_writer.h>
#include <sqfs/compressor.h>
#include <sqfs/io.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BLOCK_BYTES = 128 << 10,
	EXIT_FULL = 73, /* sysexits(3), EX_CANTCREAT: no room for the output */
};

/* input.c: the standard input. All numbers are big-endian. Input that ends too early ends the
 * program. */
uint8_t read_u8(void);
uint16_t read_u16(void);
uint32_t read_u32(void);
uint64_t read_u64(void);
void read_bytes(void *target, size_t length);
/* Up to `most` bytes where they lie, until the next call; `*length` is at least 1. */
const void *read_some(uint64_t most, size_t *length);
void require_end(void);

/* output.c: the image file. A failed write ends the program, with the kernel's own words. */
sqfs_file_t *output_create(const char *path);
void output_close(sqfs_file_t *file);

/* blocks.c: stores the blocks of files, those of equal files once. */
sqfs_block_writer_t *block_writer_create(sqfs_file_t *file);

/* Ends the program unless a call of libsquashfs went well. */
void require_ok(int result, const char *act);
void *require_memory(void *pointer);

#endif
