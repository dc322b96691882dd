/* Reads all of a squashfs image, as one of several processes. */
#ifndef LAYERCAKE_WALK_H
#define LAYERCAKE_WALK_H

#include "walker.h"

#include <stdint.h>

/* Fills in the share, which was all zeros, and ends the process. */
_Noreturn void walk(uint64_t file_bytes, unsigned number, unsigned walkers, struct share *share);

#endif
