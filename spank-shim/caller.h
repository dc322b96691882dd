/* Who calls a command, and where. Not asked for what has no container. */
#ifndef LAYERCAKE_CALLER_H
#define LAYERCAKE_CALLER_H

#include "field.h"

#include <limits.h>
#include <stdbool.h>

struct caller {
	char *home, *user; /* NULL: unknown */
	char directory[PATH_MAX];
	bool has_directory;
};

const struct caller *caller_find(void);

/* What the words of users stand for here. */
const struct lc_words *caller_words(void);

#endif
