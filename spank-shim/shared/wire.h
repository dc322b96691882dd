/* The frames of the launcher's protocol, as its clients have them: docs/protocol.md, version 1. */
#ifndef LAYERCAKE_WIRE_H
#define LAYERCAKE_WIRE_H

#include "error.h"
#include "spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LC_FRAME_MAX = 65536, /* type and payload */
};

enum lc_type {
	LC_HELLO = 0x01,
	LC_REGISTER = 0x10,
	LC_START = 0x11,
	LC_RELEASE = 0x12,
	LC_ENTER = 0x13,
	LC_SESSION = 0x14,
	LC_OK = 0x40,
	LC_PROGRESS = 0x41,
	LC_ENTERED = 0x42,
	LC_HOST = 0x43,
	LC_ABORT = 0x4f,
};

/* A request as it goes over the wire: HELLO, then the request's own frame. */
struct lc_frames {
	size_t size;
	uint8_t bytes[64 + LC_SPEC_MAX];
};

/* What ENTERED brings. */
struct lc_container {
	int user_namespace; /* close-on-exec */
	int mount_namespace;
	char **environment; /* NAME=VALUE, then NULL */
	char *text;	    /* where those lie */
};

/* Requests, each with the HELLO before it. A spec is at most LC_SPEC_MAX bytes. */
void lc_frames_register(struct lc_frames *frames, uint32_t job, uint32_t uid, const char *spec);
void lc_frames_start(struct lc_frames *frames, uint32_t job, uint32_t uid);
void lc_frames_release(struct lc_frames *frames, uint32_t job);
void lc_frames_enter(struct lc_frames *frames, uint32_t job, uint32_t step, const char *spec);
void lc_frames_session(struct lc_frames *frames, uint32_t job);

/* Replies: `payload` is what follows the type. They return 0, or -1 with an error. */
int lc_parse_entered(const uint8_t *payload, size_t size, struct lc_container *container,
		     struct lc_error *error);
/* Always -1: the error is the one the launcher sent, or that it sent nonsense. */
int lc_parse_abort(const uint8_t *payload, size_t size, struct lc_error *error);
/* The line of a PROGRESS, which may be hostile to terminals, to be freed; NULL with an error. */
char *lc_parse_progress(const uint8_t *payload, size_t size, struct lc_error *error);
/* Always -1: the launcher sent what it should not have. */
int lc_malformed_reply(struct lc_error *error);

/* The value of a variable of its environment, or NULL. */
const char *lc_container_find(const struct lc_container *container, const char *name);

void lc_container_clear(struct lc_container *container);

#endif
