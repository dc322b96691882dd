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
	int tree; /* the one that has it; -1 when it is missing */
};

/* Two trees as overlayfs(5) shows them: directories of both are one. */
struct trees {
	int upper; /* or -1 */
	int lower;
	const char *const *hidden; /* directories in which nothing of either is seen; or NULL */
};

/* The part of a path below a directory, or NULL if it is not below. */
const char *below(const char *path, const char *directory);
/* Whether a path is a directory, or below it. */
bool is_at_or_below(const char *path, const char *directory);
/* Follows a path as if the tree were the root directory. Returns 0 or an errno. */
int find_in_tree(int tree, const char *path, struct place *place);
/* The same in two trees. What is missing in a hidden directory is where the path says. */
int find_in_trees(const struct trees *trees, const char *path, struct place *place);

#endif
