/* A connection to the launcher, on which all is done in time. */
#ifndef LAYERCAKE_CONNECTION_H
#define LAYERCAKE_CONNECTION_H

#include "error.h"
#include "wire.h"

#include <stddef.h>
#include <stdint.h>

/* Whether somebody is at the other end. */
enum lc_presence {
	LC_PRESENT,
	LC_ABSENT, /* no launcher runs */
	LC_LOST,   /* it was there: it is being stopped or restarted */
};

struct lc_connection {
	int fd;
	int64_t deadline_millis; /* CLOCK_MONOTONIC */
	int fds[2];		 /* received, -1 when not */
	enum lc_presence presence;
	uint8_t type;
	size_t size; /* of the payload */
	uint8_t payload[LC_FRAME_MAX];
};

/* CLOCK_MONOTONIC */
int64_t lc_now_millis(void);

/* How this node is called in what users read. */
const char *lc_node_name(void);

/* These return 0, or -1 with an error. To be closed also when it could not be opened. */
int lc_connection_open(struct lc_connection *connection, const char *path, int timeout_millis,
		       struct lc_error *error);
void lc_connection_close(struct lc_connection *connection);
int lc_connection_send(struct lc_connection *connection, const struct lc_frames *frames,
		       struct lc_error *error);
/* The next frame: type, size and payload. */
int lc_connection_receive(struct lc_connection *connection, struct lc_error *error);

#endif
