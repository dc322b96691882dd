/* The image file of the fuzzer, in memory; what the image server and the prover have to read
 * theirs. */
#include "fuzz_file.h"
#include "image/filling.h"
#include "shared/test/fuzz.h"
#include "squash/squash.h"

#include <errno.h>
#include <sanitizer/allocator_interface.h>
#include <sanitizer/asan_interface.h>

enum { READS_MAX = 20000 }; /* tiny images with more are no news, and slow */

struct fuzz_file image_file;
int image_errno;

uint64_t random_below(uint64_t limit)
{
	image_file.random_state ^= image_file.random_state << 13;
	image_file.random_state ^= image_file.random_state >> 7;
	image_file.random_state ^= image_file.random_state << 17;
	return image_file.random_state % limit;
}

/* Buffers have room for the largest block: behind what is in one, nothing may be read. */
static size_t open_buffer(void *buffer)
{
	size_t room =
	    __sanitizer_get_ownership(buffer) ? __sanitizer_get_allocated_size(buffer) : 0;

	ASAN_UNPOISON_MEMORY_REGION(buffer, room);
	return room;
}

static void close_buffer(void *buffer, size_t filled, size_t room)
{
	if (filled < room)
		ASAN_POISON_MEMORY_REGION((char *)buffer + filled, room - filled);
}

bool read_image(void *buffer, size_t count, uint64_t offset)
{
	size_t room = open_buffer(buffer);

	INSIST(offset <= image_file.size && count <= image_file.size - offset);
	if (++image_file.reads > READS_MAX) {
		image_file.cut_short = true;
		image_errno = EIO;
		return false;
	}
	if (image_file.fail_one_in != 0 && random_below(image_file.fail_one_in) == 0) {
		image_file.has_failed = true;
		return false;
	}
	memcpy(buffer, image_file.bytes + offset, count);
	close_buffer(buffer, count, room);
	return true;
}

/* That of the image last opened; all are of the same image. */
static sqfs_decompressor real_decompressor;
sqfs_decompressor __real_sqfs_decompressor_get(sqfs_compression_type type);
sqfs_decompressor __wrap_sqfs_decompressor_get(sqfs_compression_type type);

static sqfs_err decompress(void *in, size_t in_bytes, void *out, size_t *out_bytes)
{
	size_t room = open_buffer(out);
	sqfs_err error = real_decompressor(in, in_bytes, out, out_bytes);

	if (error == SQFS_OK)
		close_buffer(out, *out_bytes, room);
	return error;
}

sqfs_decompressor __wrap_sqfs_decompressor_get(sqfs_compression_type type)
{
	real_decompressor = __real_sqfs_decompressor_get(type);
	return real_decompressor == NULL ? NULL : decompress;
}

void filling_begin(bool wait)
{
	(void)wait;
}

uint64_t filling_image_bytes(void)
{
	return image_file.size;
}

enum outcome filling_outcome(uint32_t *chunk)
{
	*chunk = 0;
	return READS_GOOD;
}

void filling_die(uint32_t chunk)
{
	(void)chunk;
	abort();
}
