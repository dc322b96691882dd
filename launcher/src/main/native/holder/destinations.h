/* Where a container's mounts go. */
#ifndef LAYERCAKE_DESTINATIONS_H
#define LAYERCAKE_DESTINATIONS_H

#include "plan.h"
#include "skeleton.h"

/*
 * Finds where the sources that are open go in the image, in the order in which they are to be
 * mounted, and makes what is missing. Returns whether anything is beside the image.
 */
bool prepare_destinations(struct plan *plan, const struct skeleton *skeleton);

#endif
