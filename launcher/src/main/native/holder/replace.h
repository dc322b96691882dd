/* Libraries of the node in the place of those that an image has by the same name. */
#ifndef LAYERCAKE_REPLACE_H
#define LAYERCAKE_REPLACE_H

#include "plan.h"

/* Takes a `--replace`, written as a mount whose destination is the name. */
void add_replacement(struct plan *plan, const char *text);
/*
 * Adds a mount for each file of the image that is to be replaced: in the plan's directories of
 * libraries, also where links there lead. What the user mounts there stays.
 */
void find_replaced(struct plan *plan, int image);

#endif
