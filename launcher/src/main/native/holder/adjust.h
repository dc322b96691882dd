/* What an image's own files say that does not hold in a container, put right. */
#ifndef LAYERCAKE_ADJUST_H
#define LAYERCAKE_ADJUST_H

#include "skeleton.h"

#include <stdbool.h>

/* Each returns whether anything is beside the image. */

/* The time zone is the node's. */
bool adjust_time_zone(const struct skeleton *skeleton);
/* apt downloads as root, for there is no other user to become in a container with one uid. */
bool adjust_apt(const struct skeleton *skeleton);

#endif
