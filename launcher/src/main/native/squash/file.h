/* An image in a file of its own, for programs that read all of it. */
#ifndef LAYERCAKE_SQUASH_FILE_H
#define LAYERCAKE_SQUASH_FILE_H

#include <stdint.h>

/* Opens the only image that read_image() reads then; says its size, or ends the program. */
uint64_t open_image(const char *path);

/* Why the last read_image() failed, if that was not the image's fault but its disk's. */
extern int image_errno;

#endif
