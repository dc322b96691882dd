/* One of the processes that read an image: what each part of it knows, and how it fails. */
#ifndef LAYERCAKE_WALKER_H
#define LAYERCAKE_WALKER_H

#include "squash/squash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WALKERS_MAX = 4, SHOWN_PATH_BYTES = 4096, PATH_MAX_BYTES = 1 << 16 };

/* What one walker has found; in memory that it shares with its parent. */
struct share {
	bool done;
	int code;	/* of the exit; 0: all is well */
	uint64_t names; /* all that there are, as the next */
	uint64_t bytes;
	uint64_t sum;		     /* of this walker's share */
	const char *cause;	     /* why it failed, the same text in parent and child */
	char path[SHOWN_PATH_BYTES]; /* where; empty: the image itself, or its root */
};

struct walker {
	struct squash image;
	struct share *share;
	unsigned number; /* of so many walkers */
	unsigned walkers;
	char path[PATH_MAX_BYTES + NAME_MAX_BYTES + 2]; /* where it is; empty: the root */
};

extern struct walker here;

/* Ends the process; the share says why. */
_Noreturn void fail(int code, const char *cause);
/* Of the whole image, wherever the walk is. */
_Noreturn void fail_beyond(const char *cause);
/* As the image says. */
_Noreturn void fail_as_read(void);

void *allocate(size_t bytes);

#endif
