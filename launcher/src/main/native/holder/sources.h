/* What a container's mounts show: the user's and the site's files, and scratch directories. */
#ifndef LAYERCAKE_SOURCES_H
#define LAYERCAKE_SOURCES_H

#include "plan.h"

/* Takes the mounts of images that are sources, before another mount namespace is entered. */
void take_images(struct plan *plan);
/* Makes the scratch directories, which are sources then. */
void make_scratch(struct plan *plan);
/* Opens the sources, as the user. */
void open_sources(struct plan *plan);
/* Binds what is open below `binds`, read-only where asked. */
void bind_sources(struct plan *plan);

#endif
