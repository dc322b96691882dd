/* Names in a container's /dev that the node's has not. */
#ifndef LAYERCAKE_DEVICES_H
#define LAYERCAKE_DEVICES_H

#include "plan.h"

#define DEVICES "/dev"

/* Whether a path in the node's /dev can be made: nothing has its first name there. */
bool is_new_device(int node_devices, const char *path);
/* Whether the container is to have another /dev than the node's. */
bool has_own_devices(const struct plan *plan);
/*
 * Makes that, if so: a directory of ours, with all that is in the node's as a mount, and with the
 * new mount points. All paths are in the stage, which is the current directory.
 */
void make_own_devices(const struct plan *plan);

#endif
