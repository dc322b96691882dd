/* Whole blocks of zeros that are never packed: they are put into the inodes of their files. */
#ifndef LAYERCAKE_HOLES_H
#define LAYERCAKE_HOLES_H

#include <sqfs/inode.h>
#include <stdint.h>

/* A file has so many blocks of zeros from that one on. Files come in the order of their numbers,
 * and the blocks of each, too. */
void note_hole(uint32_t content, uint64_t first, uint64_t blocks);

/* The inode of a file of which all but its holes has been packed, with its holes; it is another one
 * when the file has any. */
sqfs_inode_generic_t *with_holes(uint32_t content, sqfs_inode_generic_t *inode);

#endif
