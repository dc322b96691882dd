#define _GNU_SOURCE
#include "requests.h"
#include "common/die.h"
#include "filling.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * The main thread reads the kernel's requests and answers them. Reads of whole data blocks, most of
 * whose time goes into decompression, it gives to the workers. Each of these threads has an image
 * of its own, with its own caches, so that none waits for another; which worker reads a part of a
 * file is fixed, so that a block is decompressed once. (Sharing out all requests evenly took twice
 * the time: neighbouring small files and inodes are in one block.)
 *
 * A request that misses a chunk does not keep its thread: its read fails, the request is
 * parked, and the retrier gives it to a worker when the chunk is there, to be done from the
 * beginning. That is sound because nothing is kept of a read that failed, and a chunk
 * that is there stays.
 */
enum {
	WORKERS = 4,
	PART_BYTES = 128 << 10, /* the usual size of a block */
	RETRY_MILLIS = 250,
	/* fuse(4) tells of any signal, but only a fatal one should make a system call fail. */
	INTERRUPT_MILLIS = 5000,
};

struct worker {
	struct squash image;
	pthread_mutex_t lock;
	pthread_cond_t given;
	struct request *first; /* guarded by the lock, as is the next */
	struct request **last;
};

static struct worker workers[WORKERS];
/* Passed twice: when all threads run (glibc starts them with system calls), and when they may work.
 */
static pthread_barrier_t gate;

static pthread_mutex_t parking = PTHREAD_MUTEX_INITIALIZER;
static struct request *parked; /* guarded by parking */

static void reply(const struct request *request, const struct answer *answer)
{
	fuse_req_t fuse = request->fuse;

	switch (answer->kind) {
	case ENTRY:
		fuse_reply_entry(fuse, &answer->entry);
		break;
	case ATTRIBUTES:
		fuse_reply_attr(fuse, &answer->attributes, FOREVER_SECONDS);
		break;
	case LINK:
		fuse_reply_readlink(fuse, answer->bytes);
		break;
	case BYTES:
		fuse_reply_buf(fuse, answer->bytes, answer->size);
		break;
	case SIZE:
		fuse_reply_xattr(fuse, answer->size);
		break;
	case STATFS:
		fuse_reply_statfs(fuse, &answer->statfs);
		break;
	case NOTHING:
		fuse_reply_err(fuse, EIO);
		break;
	}
}

/* A request that outlives the call with which it came; NULL, and answered, without memory. */
static struct request *keep(const struct request *request)
{
	size_t name_bytes = request->name == NULL ? 0 : strlen(request->name) + 1;
	struct request *copy = malloc(sizeof(*copy) + name_bytes);

	if (copy == NULL) {
		fuse_reply_err(request->fuse, ENOMEM);
		return NULL;
	}
	*copy = *request;
	if (name_bytes > 0)
		copy->name = memcpy(copy + 1, request->name, name_bytes);
	return copy;
}

/* Takes over a kept request. */
static void give_to_worker(struct request *request)
{
	uint64_t part = request->inode + (uint64_t)request->offset / PART_BYTES;
	struct worker *worker = &workers[part % WORKERS];

	request->next = NULL;
	pthread_mutex_lock(&worker->lock);
	*worker->last = request;
	worker->last = &request->next;
	pthread_cond_signal(&worker->given);
	pthread_mutex_unlock(&worker->lock);
}

void request_give(const struct request *request)
{
	struct request *kept = keep(request);

	if (kept != NULL)
		give_to_worker(kept);
}

static void park(const struct request *request, uint32_t chunk)
{
	struct request *copy = keep(request);

	if (copy == NULL)
		return;
	copy->missed = chunk;
	copy->deadline_millis = now_millis() + filling_limit_millis();
	pthread_mutex_lock(&parking);
	copy->next = parked;
	parked = copy;
	pthread_mutex_unlock(&parking);
	filling_ask(chunk);
	/* Makes the retrier look: the chunk may have come before the request was in its list. */
	filling_ring();
}

void request_answer(struct squash *image, const struct request *request)
{
	struct answer answer = {.kind = NOTHING};
	uint32_t missed;

	filling_begin(false);
	int error = request->act(image, request, &answer);
	/* Whatever was made of a read that failed is not to be believed. */
	switch (filling_outcome(&missed)) {
	case READS_GOOD:
		if (error == 0)
			reply(request, &answer);
		else
			fuse_reply_err(request->fuse, error);
		break;
	case READS_MISSED:
		park(request, missed);
		break;
	case READS_FAILED:
		fuse_reply_err(request->fuse, EIO);
		break;
	}
	free(answer.bytes);
}

/* Whether the wait of a parked request is over; it may be asked for again otherwise. */
static bool is_due(struct request *request, int64_t now)
{
	if (filling_state(request->missed) != CHUNK_ABSENT || now >= request->deadline_millis)
		return true;
	if (request->interrupted_millis == 0 && fuse_req_interrupted(request->fuse))
		request->interrupted_millis = now;
	if (request->interrupted_millis != 0 &&
	    now - request->interrupted_millis > INTERRUPT_MILLIS)
		return true;
	filling_ask(request->missed);
	return false;
}

static struct request *take_due(bool *any_left)
{
	struct request *due = NULL;
	int64_t now = now_millis();

	pthread_mutex_lock(&parking);
	for (struct request **link = &parked; *link != NULL;) {
		struct request *request = *link;
		if (is_due(request, now)) {
			*link = request->next;
			request->next = due;
			due = request;
		} else {
			link = &request->next;
		}
	}
	*any_left = parked != NULL;
	pthread_mutex_unlock(&parking);
	return due;
}

static void end_wait(struct request *request)
{
	if (filling_state(request->missed) != CHUNK_ABSENT) {
		give_to_worker(request);
		return;
	}
	if (request->interrupted_millis != 0) {
		fuse_reply_err(request->fuse, EINTR);
	} else {
		filling_give_up(request->missed);
		fuse_reply_err(request->fuse, EIO);
	}
	free(request);
}

static void await_gate(void)
{
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
}

static void *retry(void *unused)
{
	bool waiting = false;

	(void)unused;
	await_gate();
	for (;;) {
		filling_await(waiting ? RETRY_MILLIS : -1);
		struct request *due = take_due(&waiting);
		while (due != NULL) {
			struct request *request = due;
			due = request->next;
			end_wait(request);
		}
	}
	return NULL;
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	await_gate();
	for (;;) {
		pthread_mutex_lock(&worker->lock);
		while (worker->first == NULL)
			pthread_cond_wait(&worker->given, &worker->lock);
		struct request *request = worker->first;
		worker->first = request->next;
		if (worker->first == NULL)
			worker->last = &worker->first;
		pthread_mutex_unlock(&worker->lock);
		request_answer(&worker->image, request);
		free(request);
	}
	return NULL;
}

static void start(void *(*routine)(void *), void *argument)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, routine, argument);

	if (error != 0)
		die(EXIT_INTERNAL, "cannot start a thread: %s", strerror(error));
}

void requests_prepare(void)
{
	pthread_barrier_init(&gate, NULL, WORKERS + 2);
	for (int i = 0; i < WORKERS; i++) {
		pthread_mutex_init(&workers[i].lock, NULL);
		pthread_cond_init(&workers[i].given, NULL);
		workers[i].last = &workers[i].first;
		start(work, &workers[i]);
	}
	start(retry, NULL);
	pthread_barrier_wait(&gate);
}

void requests_begin(void)
{
	for (int i = 0; i < WORKERS; i++)
		image_open(&workers[i].image);
	pthread_barrier_wait(&gate);
}
