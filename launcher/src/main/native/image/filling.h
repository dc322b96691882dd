/*
 * The image file, which the launcher may still be filling. Defines read_image(), through which all
 * of it is read.
 */
#ifndef LAYERCAKE_FILLING_H
#define LAYERCAKE_FILLING_H

#include "map.h"

#include <stdbool.h>
#include <stdint.h>

struct filling {
	int image; /* the image file; nothing else may read it, or it would take holes for zeros */
	uint64_t image_bytes;
	int mount;     /* /dev/fuse, through which it is mounted; -1: not known */
	bool complete; /* the rest does not count */
	struct map map;
	int wanted;  /* FIFO to the launcher: chunks we wait for. Non-blocking, open for both */
	int arrived; /* FIFO from the launcher: look at the map again. The same */
	int64_t limit_millis; /* how long anybody waits for one chunk */
};

enum outcome {
	READS_GOOD,
	READS_MISSED, /* a chunk is not there yet: do it all again when it is */
	READS_FAILED,
};

/* To be called once, before the first read. */
void filling_use(const struct filling *filling);

/*
 * From here on this thread counts how its reads end. With `wait` a read waits for what is missing;
 * otherwise it fails at once, READS_MISSED.
 */
void filling_begin(bool wait);

/* How the reads since filling_begin() have ended, and the chunk that was missed. */
enum outcome filling_outcome(uint32_t *chunk);

/* Ends the program after reads that waited, and did not end well. */
_Noreturn void filling_die(uint32_t chunk);

/* Asks the launcher for a chunk, at most once a second for the same one; never blocks. */
void filling_ask(uint32_t chunk);

/* Says, here and to the launcher, that a read of this chunk fails because it did not come. */
void filling_give_up(uint32_t chunk);

/* Asks for all of [from, to) that is not there, as less urgent, up to a limit. */
void filling_ask_ahead(uint64_t from, uint64_t to);

enum presence filling_state(uint32_t chunk);

/* Waits until the launcher rings, or somebody in here; -1 for no end. */
void filling_await(int timeout_millis);
void filling_ring(void);

uint64_t filling_image_bytes(void);
int64_t filling_limit_millis(void);

/* Milliseconds of the clock that the waits here are measured with. */
int64_t now_millis(void);

/* One line on stderr, at most one in ten seconds: nobody may be reading it. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
