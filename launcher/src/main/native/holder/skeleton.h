/* What an image lacks, beside it; all paths are in the stage, which is the current directory. */
#ifndef LAYERCAKE_SKELETON_H
#define LAYERCAKE_SKELETON_H

#include <stdbool.h>
#include <sys/types.h>

void make_dir(const char *path, mode_t mode);
void make_file(const char *path, mode_t mode);
/* Adds what the image lacks, the directory `image`; returns whether that is anything. */
bool add_skeleton(int image);
/* Adds a mount point; directories above it look as they do in the image. */
void add_to_skeleton(int image, const char *path, bool is_dir, mode_t mode);

#endif
