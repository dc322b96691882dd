/*
 * Whether the store has an image, and what the site's rules say of it, asked before a job is
 * queued: as the user, by the user's own command, which knows the store.
 */
#ifndef LAYERCAKE_LOOKUP_H
#define LAYERCAKE_LOOKUP_H

#include "shared/error.h"

#include <stdbool.h>

enum lc_answer {
	LC_NOTHING_WRONG, /* it is there; or another user's, of which only the launcher can say */
	LC_REFUSED,	  /* nobody could run it: the error is the launcher's own */
	LC_NO_ANSWER,	  /* the error says why */
};

enum { LC_QUESTION_WORDS = 12 };

struct lc_question {
	const char *words[LC_QUESTION_WORDS + 1]; /* the command and its arguments, then NULL */
	const char *act;			  /* what cannot be done without an answer */
	bool of_rules; /* who may not read the image is not told so: 77 is the rules' refusal */
};

/* Runs a command, with little of the caller's environment, and for so long at most. */
enum lc_answer lc_look_up(const struct lc_question *question, int timeout_millis,
			  struct lc_error *error);

#endif
