/*
 * Writes a tar to the standard output, POSIX.1-2001 (pax). Only what a ustar header has no room for
 * is in records before it.
 */
#ifndef LAYERCAKE_TAR_H
#define LAYERCAKE_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Paths and targets end with NUL. All files belong to root. */
struct tar_entry {
	const char *path;
	char type; /* as in the header: '0' file, '1' hard link, '2' link, … */
	mode_t mode;
	uint32_t mtime;
	uint64_t size;	    /* of a file */
	const char *target; /* of a link; else NULL */
	uint32_t major;	    /* of a device, as the next */
	uint32_t minor;
};

/* Adds an attribute to the next entry; false when there is no room for more of them. */
bool tar_attribute(const char *name, const void *value, size_t size);

/* Writes the header. All bytes of a file follow, by calls of tar_data. */
void tar_begin(const struct tar_entry *entry);
/* NULL: zeros. */
void tar_data(const void *bytes, size_t size);
void tar_end_of_file(uint64_t size);

/* Ends the archive. */
void tar_end(void);

#endif
