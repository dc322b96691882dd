/* What can be the name of an image, and what is meant by what cannot. */
#ifndef LAYERCAKE_IMAGE_H
#define LAYERCAKE_IMAGE_H

#include "shared/error.h"

enum { LC_IMAGE_MAX = 512 };

/*
 * Checks the form of a name; whether there is such an image is for the launcher to say. Returns 0,
 * or -1 with an error that says how to make an image of a file, or of an image in a registry.
 */
int lc_check_image(const char *name, struct lc_error *error);

#endif
