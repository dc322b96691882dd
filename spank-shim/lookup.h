/*
 * Whether the store has an image, asked before a job is queued: as the user, by the user's own
 * command, which knows the store.
 */
#ifndef LAYERCAKE_LOOKUP_H
#define LAYERCAKE_LOOKUP_H

#include "shared/error.h"

enum lc_answer {
	LC_NOTHING_WRONG, /* it is there; or another user's, of which only the launcher can say */
	LC_NO_IMAGE,	  /* nobody could run it: the error is the launcher's own */
	LC_NO_ANSWER,	  /* the error says why */
};

/* Runs COMMAND inspect IMAGE, with little of the caller's environment, and for so long at most. */
enum lc_answer lc_look_up(const char *command, const char *image, int timeout_millis,
			  struct lc_error *error);

#endif
