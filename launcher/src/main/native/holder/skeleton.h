/*
 * What an image lacks, beside it, or in it where it is writable; all paths are in the stage, which
 * is the current directory.
 */
#ifndef LAYERCAKE_SKELETON_H
#define LAYERCAKE_SKELETON_H

#include "user.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

void make_dir(const char *path, mode_t mode);
void make_file(const char *path, mode_t mode);
/* Makes the user the owner, as of all that is in the image. */
void give_to(const struct user *user, const char *path);
/* Where what is missing is made. */
struct skeleton {
	int image; /* the directory `image` */
	bool writable;
	const struct user *user; /* whose it is */
};

/*
 * Makes a file or directory and those above it where they are missing, in a tree of the user's. As
 * the user, whose own tasks may be changing the tree at this moment: wherever links of theirs lead,
 * they may do no more than the user may.
 */
void make_in_tree(int tree, const struct user *user, const char *path, bool is_dir, mode_t mode);
/* Adds what the image lacks; returns whether anything is beside it. */
bool add_skeleton(const struct skeleton *skeleton);
/*
 * Adds a mount point; directories above it look as they do in the image. Returns whether anything
 * is beside the image.
 */
bool add_to_skeleton(const struct skeleton *skeleton, const char *path, bool is_dir, mode_t mode);
/*
 * Add a file or a link in place of what is there. No part of the path is a link, unless a task of
 * the user is changing the image at this moment. Return whether they are beside the image.
 */
bool add_file(const struct skeleton *skeleton, const char *path, const char *bytes, size_t size);
bool add_link(const struct skeleton *skeleton, const char *path, const char *target);

#endif
