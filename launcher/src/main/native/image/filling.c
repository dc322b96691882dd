#define _GNU_SOURCE
#include "filling.h"
#include "common/die.h"
#include "squash/squash.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
	ASK_AGAIN_MILLIS = 1000,
	LOOK_AGAIN_MILLIS = 250,
	COMPLAIN_MILLIS = 10000,
	AHEAD_SEQUENTIAL = 2, /* chunks after one that follows on another that was asked for */
	AHEAD_MAX = 64,
	/* How long one request may go on reading, whatever a hostile image says. */
	READING_MAX_MILLIS = 30000,
};

/* A record of the wanted FIFO, docs/protocol.md; little endian. */
enum urgency { URGENT = 0, AHEAD = 1, TOUCHED = 2, LOST = 3 };
struct wish {
	uint32_t chunk;
	uint32_t urgency;
};

static struct filling here;

/* What has been said of each chunk; guarded by the lock, but for a first look at `touched`. */
static pthread_mutex_t asking = PTHREAD_MUTEX_INITIALIZER;
static struct {
	int64_t asked_millis; /* 0: never, as urgent */
	bool ahead;
	bool touched;
} * asked;

static _Thread_local struct {
	bool wait;
	enum outcome outcome;
	uint32_t missed;
	enum presence state; /* of what was missed */
	bool unmounted;
	int64_t deadline_millis;
} mine;

int64_t now_millis(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void complain(const char *format, ...)
{
	static int64_t next;
	int64_t now = now_millis();
	int64_t due = __atomic_load_n(&next, __ATOMIC_RELAXED);
	char line[256];
	va_list arguments;

	if (now < due || !__atomic_compare_exchange_n(&next, &due, now + COMPLAIN_MILLIS, false,
						      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	dprintf(STDERR_FILENO, "imageserver: %s\n", line);
}

void filling_use(const struct filling *filling)
{
	here = *filling;
	if (here.complete)
		return;
	asked = calloc(here.map.chunks, sizeof(*asked));
	if (asked == NULL)
		die(EXIT_INTERNAL, "cannot remember %u chunks: no memory", here.map.chunks);
}

uint64_t filling_image_bytes(void)
{
	return here.image_bytes;
}

int64_t filling_limit_millis(void)
{
	return here.limit_millis;
}

enum presence filling_state(uint32_t chunk)
{
	return map_state(&here.map, chunk);
}

/* Under the lock. The launcher may be away and the FIFO full: then it is asked again later. */
static void send_wishes(const struct wish *wishes, size_t count)
{
	/* Not more than PIPE_BUF: goes in whole or not at all, pipe(7). */
	_Static_assert(AHEAD_MAX * sizeof(struct wish) <= 4096, "PIPE_BUF");
	ssize_t written = write(here.wanted, wishes, count * sizeof(*wishes));
	(void)written;
}

/* Under the lock: adds the absent ones of [first, last) that were never asked for. */
static size_t collect_ahead(struct wish *wishes, uint32_t first, uint32_t last)
{
	size_t count = 0;

	for (uint32_t chunk = first; chunk < last && count < AHEAD_MAX - 1; chunk++) {
		if (asked[chunk].ahead || asked[chunk].asked_millis != 0 ||
		    map_state(&here.map, chunk) != CHUNK_ABSENT)
			continue;
		asked[chunk].ahead = true;
		wishes[count++] = (struct wish){htole32(chunk), htole32(AHEAD)};
	}
	return count;
}

void filling_ask(uint32_t chunk)
{
	struct wish wishes[AHEAD_MAX];
	size_t count = 0;
	int64_t now = now_millis();

	pthread_mutex_lock(&asking);
	if (asked[chunk].asked_millis == 0 || now - asked[chunk].asked_millis >= ASK_AGAIN_MILLIS) {
		asked[chunk].asked_millis = now;
		wishes[count++] = (struct wish){htole32(chunk), htole32(URGENT)};
	}
	if (chunk > 0 && (asked[chunk - 1].ahead || asked[chunk - 1].asked_millis != 0)) {
		uint32_t left = here.map.chunks - chunk - 1;
		uint32_t ahead = left < AHEAD_SEQUENTIAL ? left : AHEAD_SEQUENTIAL;
		count += collect_ahead(wishes + count, chunk + 1, chunk + 1 + ahead);
	}
	if (count > 0)
		send_wishes(wishes, count);
	pthread_mutex_unlock(&asking);
}

void filling_give_up(uint32_t chunk)
{
	complain("chunk %u did not come in %lld s: reads of it fail (see the launcher's log)",
		 chunk, (long long)here.limit_millis / 1000);
	/* Nobody may be reading what we say; the FIFO keeps it for the next launcher. */
	pthread_mutex_lock(&asking);
	send_wishes(&(struct wish){htole32(chunk), htole32(LOST)}, 1);
	pthread_mutex_unlock(&asking);
}

void filling_ask_ahead(uint64_t from, uint64_t to)
{
	struct wish wishes[AHEAD_MAX];

	if (here.complete || from >= to || to > here.image_bytes)
		return;
	pthread_mutex_lock(&asking);
	size_t count = collect_ahead(wishes, map_chunk_at(&here.map, from),
				     map_chunk_at(&here.map, to - 1) + 1);
	if (count > 0)
		send_wishes(wishes, count);
	pthread_mutex_unlock(&asking);
}

/* Tells the launcher of chunks that are read for the first time: the next start wants them, too. */
static void note_touched(uint64_t offset, uint64_t length)
{
	if (length == 0)
		return;
	uint32_t last = map_chunk_at(&here.map, offset + length - 1);
	for (uint32_t chunk = map_chunk_at(&here.map, offset); chunk <= last; chunk++) {
		if (__atomic_load_n(&asked[chunk].touched, __ATOMIC_RELAXED))
			continue;
		pthread_mutex_lock(&asking);
		if (!asked[chunk].touched) {
			__atomic_store_n(&asked[chunk].touched, true, __ATOMIC_RELAXED);
			send_wishes(&(struct wish){htole32(chunk), htole32(TOUCHED)}, 1);
		}
		pthread_mutex_unlock(&asking);
	}
}

void filling_await(int timeout_millis)
{
	struct pollfd bell = {.fd = here.arrived, .events = POLLIN};
	char rings[4096];

	if (poll(&bell, 1, timeout_millis) > 0)
		while (read(here.arrived, rings, sizeof(rings)) == sizeof(rings))
			;
}

void filling_ring(void)
{
	/* A FIFO that is full will wake whom we want to wake. */
	ssize_t written = write(here.arrived, "", 1);
	(void)written;
}

void filling_begin(bool wait)
{
	mine.wait = wait;
	mine.outcome = READS_GOOD;
	mine.state = CHUNK_PRESENT;
	mine.deadline_millis = now_millis() + READING_MAX_MILLIS;
}

enum outcome filling_outcome(uint32_t *chunk)
{
	*chunk = mine.missed;
	return mine.outcome;
}

/* Before the image has been read nobody asks the kernel whether the mount is still there. fuse(4)
 */
static bool is_unmounted(void)
{
	struct pollfd mount = {.fd = here.mount};

	return here.mount >= 0 && poll(&mount, 1, 0) > 0 && (mount.revents & POLLERR) != 0;
}

static enum presence await_range(uint64_t offset, uint64_t length, uint32_t *chunk)
{
	uint32_t waited_for = UINT32_MAX;
	int64_t deadline = 0;

	for (;;) {
		enum presence state = map_look(&here.map, offset, length, chunk);
		if (state != CHUNK_ABSENT)
			return state;
		mine.unmounted = is_unmounted();
		if (mine.unmounted)
			return CHUNK_ABSENT;
		if (*chunk != waited_for) {
			waited_for = *chunk;
			deadline = now_millis() + here.limit_millis;
		} else if (now_millis() >= deadline) {
			return CHUNK_ABSENT;
		}
		filling_ask(*chunk);
		filling_await(LOOK_AGAIN_MILLIS);
	}
}

void filling_die(uint32_t chunk)
{
	if (mine.unmounted)
		exit(EXIT_SUCCESS);
	if (mine.state == CHUNK_ABSENT)
		die(EXIT_TEMPORARY, "cannot read the image: chunk %u of %u did not come in %lld s",
		    chunk, here.map.chunks, (long long)here.limit_millis / 1000);
	if (mine.state == CHUNK_GIVEN_UP)
		die(EXIT_TEMPORARY, "cannot read the image: chunk %u of %u was given up", chunk,
		    here.map.chunks);
	die(EXIT_INPUT, "cannot read the image: %s",
	    mine.state == CHUNK_PRESENT ? "its file cannot be read" : "the map is damaged");
}

static enum outcome look(uint64_t offset, uint64_t length)
{
	if (offset > here.image_bytes || length > here.image_bytes - offset)
		return READS_FAILED;
	if (!mine.wait && now_millis() > mine.deadline_millis) {
		complain("a request was given up after %d s of reading", READING_MAX_MILLIS / 1000);
		return READS_FAILED;
	}
	if (here.complete)
		return READS_GOOD;
	mine.state = mine.wait ? await_range(offset, length, &mine.missed)
			       : map_look(&here.map, offset, length, &mine.missed);
	switch (mine.state) {
	case CHUNK_PRESENT:
		note_touched(offset, length);
		return READS_GOOD;
	case CHUNK_ABSENT:
		return mine.wait ? READS_FAILED : READS_MISSED;
	case CHUNK_GIVEN_UP:
		complain("chunk %u of %u was given up: reads of it fail (see the launcher's log)",
			 mine.missed, here.map.chunks);
		return READS_FAILED;
	default:
		complain("the map is damaged at chunk %u: reads of it fail", mine.missed);
		return READS_FAILED;
	}
}

bool read_image(void *buffer, size_t count, uint64_t offset)
{
	size_t done = 0;

	enum outcome outcome = look(offset, count);
	while (outcome == READS_GOOD && done < count) {
		ssize_t got =
		    pread(here.image, (char *)buffer + done, count - done, (off_t)(offset + done));
		if (got > 0)
			done += (size_t)got;
		else if (got == 0 || errno != EINTR)
			outcome = READS_FAILED;
	}
	if (outcome == READS_GOOD)
		return true;
	if (mine.outcome != READS_FAILED)
		mine.outcome = outcome;
	return false;
}
