/* Under which path the archive has files that have several: the others become links to it. */
#ifndef LAYERCAKE_NAMES_H
#define LAYERCAKE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/* For the inodes 1 to `inodes`; false without memory. */
bool names_begin(uint32_t inodes);

/* NULL: none yet. It stays until the next call of names_note. */
const char *names_find(uint32_t inode);

/* Forgets what there is no room for: such a file is in the archive several times. */
void names_note(uint32_t inode, const char *path);

#endif
