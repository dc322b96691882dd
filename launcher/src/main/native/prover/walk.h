/* Reads all of a squashfs image, as one of several processes. */
#ifndef LAYERCAKE_WALK_H
#define LAYERCAKE_WALK_H

#include <stdbool.h>
#include <stdint.h>

enum { WALKERS_MAX = 4, SHOWN_PATH_BYTES = 4096 };

enum { EXIT_BEYOND = 69 }; /* the image may be whole, but has more than is read */

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

/* Why the last read_image() failed, which is the program's: the file's disk, not the image. */
extern int image_errno;

/* Fills in the share, which was all zeros, and ends the process. */
_Noreturn void walk(uint64_t file_bytes, unsigned number, unsigned walkers, struct share *share);

#endif
