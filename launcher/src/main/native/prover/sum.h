/* What an inode adds to the sum of an image; docs/protocol.md says what that is made of. */
#ifndef LAYERCAKE_SUM_H
#define LAYERCAKE_SUM_H

#include "squash/squash.h"

#include <stdint.h>

/* Reads all that the inode has, under the name where the walker is. */
uint32_t sum_of_inode(const struct inode *inode);

/* Of its attributes alone. */
uint32_t sum_of_attributes(const struct inode *inode);

#endif
