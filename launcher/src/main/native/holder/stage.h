/* The new root directory of the container. */
#ifndef LAYERCAKE_STAGE_H
#define LAYERCAKE_STAGE_H

#include "plan.h"

/* Prepares the new root directory below plan->stage. */
void stage_container(struct plan *plan, int image_mount);

#endif
