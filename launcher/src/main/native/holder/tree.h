/* Paths inside an image, whatever its symbolic links say. */
#ifndef LAYERCAKE_TREE_H
#define LAYERCAKE_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* Where a path leads inside a tree whose root is not "/". */
struct place {
	char path[PATH_MAX]; /* from the tree's root, without symbolic links, "." and ".." */
	bool exists;
	mode_t mode;
};

/* Follows a path as if the tree were the root directory. Returns 0 or an errno. */
int find_in_tree(int tree, const char *path, struct place *place);

#endif
