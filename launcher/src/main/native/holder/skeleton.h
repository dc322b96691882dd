/* What an image lacks, beside it; all paths are in the stage, which is the current directory. */
#ifndef LAYERCAKE_SKELETON_H
#define LAYERCAKE_SKELETON_H

#include "user.h"

#include <stdbool.h>
#include <sys/types.h>

void make_dir(const char *path, mode_t mode);
void make_file(const char *path, mode_t mode);
/* Makes the user the owner, as of all that is in the image. */
void give_to(const struct user *user, const char *path);
/* Adds what the image lacks, the directory `image`; returns whether that is anything. */
bool add_skeleton(int image, const struct user *user);
/* Adds a mount point of the user's; directories above it look as they do in the image. */
void add_to_skeleton(int image, const struct user *user, const char *path, bool is_dir,
		     mode_t mode);

#endif
