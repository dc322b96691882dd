#include "output.h"
#include "common/die.h"

#include <errno.h>
#include <fcntl.h>
#include <sqfs/error.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

struct output {
	sqfs_file_t base; /* first: libsquashfs knows only this part */
	int fd;
	uint64_t size;
};

static struct output output;

static _Noreturn void fail(const char *act)
{
	int error = errno;
	bool is_full = error == ENOSPC || error == EFBIG || error == EDQUOT;

	die(is_full ? EXIT_FULL : EXIT_INTERNAL, "cannot %s the image file: %s", act,
	    strerror(error));
}

static int read_at(sqfs_file_t *file, sqfs_u64 offset, void *target, size_t size)
{
	(void)file;
	while (size > 0) {
		ssize_t count = pread(output.fd, target, size, (off_t)offset);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			fail("read");
		if (count == 0)
			return SQFS_ERROR_OUT_OF_BOUNDS;
		target = (char *)target + count;
		offset += (sqfs_u64)count;
		size -= (size_t)count;
	}
	return 0;
}

static int write_at(sqfs_file_t *file, sqfs_u64 offset, const void *source, size_t size)
{
	(void)file;
	while (size > 0) {
		ssize_t count = pwrite(output.fd, source, size, (off_t)offset);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			fail("write");
		source = (const char *)source + count;
		offset += (sqfs_u64)count;
		size -= (size_t)count;
		if (offset > output.size)
			output.size = offset;
	}
	return 0;
}

static sqfs_u64 get_size(const sqfs_file_t *file)
{
	(void)file;
	return output.size;
}

static int cut(sqfs_file_t *file, sqfs_u64 size)
{
	(void)file;
	if (ftruncate(output.fd, (off_t)size) < 0)
		fail("truncate");
	output.size = size;
	return 0;
}

static void destroy(sqfs_object_t *file)
{
	(void)file;
}

sqfs_file_t *output_create(const char *path)
{
	output = (struct output){
	    .base = {.base.destroy = destroy,
		     .read_at = read_at,
		     .write_at = write_at,
		     .get_size = get_size,
		     .truncate = cut},
	    .fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600),
	};
	if (output.fd < 0)
		fail("create");
	return &output.base;
}

void output_close(sqfs_file_t *file)
{
	(void)file;
	if (close(output.fd) < 0)
		fail("write");
}
