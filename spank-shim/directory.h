/* The directory that a step starts in, as the container calls it. */
#ifndef LAYERCAKE_DIRECTORY_H
#define LAYERCAKE_DIRECTORY_H

#include "shared/error.h"

#include <limits.h>
#include <stdbool.h>

/* Whether an absolute path, without "." and "..", is a directory or lies in it. */
bool lc_is_in(const char *path, const char *directory);

/* Finds the top of the file system that a directory is on; false when that is the root's. */
bool lc_find_mount_point(const char *directory, char top[PATH_MAX]);

/*
 * Finds the current directory. One that lies in a home which is reached by a symbolic link gets the
 * name it has by way of `home`, NULL for none: a container has the home by that name only. Returns
 * 0, or -1 with an error.
 */
int lc_find_directory(const char *home, char directory[PATH_MAX], struct lc_error *error);

#endif
