/* The tree of directories, links and files, which have their contents already. */
#ifndef LAYERCAKE_PACKED_TREE_H
#define LAYERCAKE_PACKED_TREE_H

/* Reads the rest of the input and writes inodes and directories. */
void read_tree(void);

#endif
