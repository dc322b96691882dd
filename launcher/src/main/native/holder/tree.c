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

/* A lookup on its way. */
struct walk {
	const struct trees *trees;
	struct place *place;
	char covered[PATH_MAX]; /* a directory of the upper tree on something else of the lower */
};

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

const char *below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 && path[length] == '/' ? path + length : NULL;
}

bool is_at_or_below(const char *path, const char *directory)
{
	return strcmp(path, directory) == 0 || below(path, directory) != NULL;
}

/* Whether neither tree is to be seen at a path. */
static bool is_hidden(const struct trees *trees, const char *path)
{
	for (size_t i = 0; trees->hidden != NULL && trees->hidden[i] != NULL; i++)
		if (below(path, trees->hidden[i]) != NULL)
			return true;
	return false;
}

/* Returns 0 or an errno. No part of the path above its last is a link, in the tree it is seen in.
 */
static int look_up(struct walk *walk)
{
	struct place *place = walk->place;
	const char *relative = place->path[0] != '\0' ? place->path + 1 : ".";
	const int trees[] = {walk->trees->upper, walk->trees->lower};
	struct stat status[2];
	bool found[2] = {false, false};

	for (int i = 0; i < 2; i++) {
		bool covered =
		    i == 1 && walk->covered[0] != '\0' && below(place->path, walk->covered) != NULL;
		if (trees[i] < 0 || covered || is_hidden(walk->trees, place->path))
			continue;
		found[i] = fstatat(trees[i], relative, &status[i], AT_SYMLINK_NOFOLLOW) == 0;
		if (!found[i] && errno != ENOENT)
			return errno;
	}
	int seen = found[0] ? 0 : 1;
	place->exists = found[0] || found[1];
	place->tree = place->exists ? trees[seen] : -1;
	place->mode = place->exists ? status[seen].st_mode : 0;
	if (found[0] && found[1] && !S_ISDIR(status[1].st_mode))
		strcpy(walk->covered, place->path);
	return 0;
}

int find_in_trees(const struct trees *trees, const char *wanted, struct place *place)
{
	struct walk walk = {.trees = trees, .place = place};
	char todo[PATH_MAX];
	int links = 0, error;

	if (strlen(wanted) >= sizeof(todo))
		return ENAMETOOLONG;
	strcpy(todo, wanted);
	place->path[0] = '\0';
	place->exists = true;
	place->mode = S_IFDIR;
	place->tree = trees->lower;
	for (;;) {
		char *start = todo + strspn(todo, "/");
		size_t length = strcspn(start, "/");
		if (length == 0)
			return 0;
		if (place->exists && !S_ISDIR(place->mode))
			return ENOTDIR;
		bool is_up = length == 2 && memcmp(start, "..", 2) == 0;
		if (is_up) {
			drop_last(place->path);
		} else if (length != 1 || start[0] != '.') {
			if ((error = append(place->path, start, length)) != 0)
				return error;
		}
		memmove(todo, start + length, strlen(start + length) + 1);
		if (!place->exists && !is_up)
			continue;
		if ((error = look_up(&walk)) != 0)
			return error;
		if (!S_ISLNK(place->mode))
			continue;
		if (++links > MAX_LINKS)
			return ELOOP;
		if ((error = follow_link(place->tree, place->path + 1, todo)) != 0)
			return error;
		if (todo[0] == '/')
			place->path[0] = '\0';
		else
			drop_last(place->path);
		place->mode = S_IFDIR;
	}
}

int find_in_tree(int tree, const char *path, struct place *place)
{
	struct trees trees = {.upper = -1, .lower = tree};

	return find_in_trees(&trees, path, place);
}
