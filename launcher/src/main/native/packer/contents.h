/* The contents of files, which come before the tree. */
#ifndef LAYERCAKE_CONTENTS_H
#define LAYERCAKE_CONTENTS_H

#include <sqfs/inode.h>
#include <stdint.h>

/* Reads all contents and packs them; ends with the 'T' that follows. */
void read_contents(void);

/* The inode of a content, which is the caller's from then on; each can be taken once. */
sqfs_inode_generic_t *take_content(uint32_t number);

/* Ends the program when a content was not taken. */
void require_all_taken(void);

#endif
