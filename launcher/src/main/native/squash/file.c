#define _GNU_SOURCE
#include "file.h"
#include "common/die.h"
#include "squash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int image_file;
int image_errno;

bool read_image(void *buffer, size_t count, uint64_t offset)
{
	size_t done = 0;

	while (done < count) {
		ssize_t got =
		    pread(image_file, (char *)buffer + done, count - done, (off_t)(offset + done));
		if (got > 0) {
			done += (size_t)got;
		} else if (got == 0 || errno != EINTR) {
			image_errno = got == 0 ? EIO : errno;
			return false;
		}
	}
	return true;
}

uint64_t open_image(const char *path)
{
	struct stat status;
	/* Not blocking: it may be a FIFO. */
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (file < 0 || fstat(file, &status) < 0)
		die(errno == ENOENT || errno == ENOTDIR ? EXIT_MISSING
		    : errno == EACCES			? EXIT_PERMISSION
							: EXIT_INPUT,
		    "cannot open \"%s\": %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		die(EXIT_DAMAGED, "cannot read \"%s\": it is not a regular file", path);
	posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
	image_file = file;
	return (uint64_t)status.st_size;
}
