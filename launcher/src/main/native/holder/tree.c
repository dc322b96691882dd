/*
 * Path lookup inside a tree that is not "/". openat2(2) with RESOLVE_IN_ROOT would find what exists
 * but not say how far a path leads that does not, and older kernels lack it.
 *
 * The trees do not change under us: an image is read-only, and what is found in a user's directory
 * is only used to tell the user early what ch-run would refuse as that user anyway.
 */
#define _GNU_SOURCE
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINKS 40 /* as the kernel, path_resolution(7) */

/* Puts what a symbolic link says in front of what is left to do. */
static int follow_link(int tree, const char *link, char todo[PATH_MAX])
{
	char target[PATH_MAX], joined[PATH_MAX];
	ssize_t length = readlinkat(tree, link, target, sizeof(target) - 1);

	if (length < 0)
		return errno;
	target[length] = '\0';
	int size = snprintf(joined, sizeof(joined), "%s/%s", target, todo);
	if (size < 0 || (size_t)size >= sizeof(joined))
		return ENAMETOOLONG;
	memcpy(todo, joined, (size_t)size + 1);
	return 0;
}

static void drop_last(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash != NULL)
		*slash = '\0';
}

static int append(char path[PATH_MAX], const char *component, size_t length)
{
	size_t used = strlen(path);

	if (used + 1 + length + 1 > PATH_MAX)
		return ENAMETOOLONG;
	path[used] = '/';
	memcpy(path + used + 1, component, length);
	path[used + 1 + length] = '\0';
	return 0;
}

int find_in_tree(int tree, const char *wanted, struct place *place)
{
	char todo[PATH_MAX];
	struct stat status;
	int links = 0, error;

	if (strlen(wanted) >= sizeof(todo))
		return ENAMETOOLONG;
	strcpy(todo, wanted);
	place->path[0] = '\0';
	place->exists = true;
	place->mode = S_IFDIR;
	for (;;) {
		char *start = todo + strspn(todo, "/");
		size_t length = strcspn(start, "/");
		if (length == 0)
			return 0;
		if (place->exists && !S_ISDIR(place->mode))
			return ENOTDIR;
		if (length == 2 && memcmp(start, "..", 2) == 0) {
			drop_last(place->path);
		} else if (length != 1 || start[0] != '.') {
			if ((error = append(place->path, start, length)) != 0)
				return error;
		}
		memmove(todo, start + length, strlen(start + length) + 1);
		if (!place->exists)
			continue;
		const char *relative = place->path[0] != '\0' ? place->path + 1 : ".";
		if (fstatat(tree, relative, &status, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno != ENOENT)
				return errno;
			place->exists = false;
			place->mode = 0;
			continue;
		}
		place->mode = status.st_mode;
		if (!S_ISLNK(status.st_mode))
			continue;
		if (++links > MAX_LINKS)
			return ELOOP;
		if ((error = follow_link(tree, relative, todo)) != 0)
			return error;
		if (todo[0] == '/')
			place->path[0] = '\0';
		else
			drop_last(place->path);
		place->mode = S_IFDIR;
	}
}
