/* A task whose command is run by the entry point of its image. */
#ifndef LAYERCAKE_ENTRY_H
#define LAYERCAKE_ENTRY_H

#include "shared/error.h"
#include "shared/wire.h"

#include <slurm/spank.h>

/*
 * To be called before the container is entered. Where the image has no entry point, the command
 * runs by itself. Returns 0 or -1.
 */
int entry_prepare(spank_t spank, const struct lc_container *container, struct lc_error *error);

#endif
