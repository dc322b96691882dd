/* Becoming a process of a container, as the user, from descriptors the launcher sent. */
#ifndef LAYERCAKE_ENTER_H
#define LAYERCAKE_ENTER_H

#include "error.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Joins the container. The calling process must be single-threaded and have become the user, groups
 * included. It is then in the container's "/"; no_new_privs is set. Who is root inside has changes
 * of ids and owners answered from then on, pretend.h. After a failure the process is in no defined
 * place and must exit.
 */
int lc_enter(const struct lc_container *container, struct lc_error *error);

/* Changes to the directory of a step, which starts there or not at all. */
int lc_start_in(const char *directory, struct lc_error *error);

/* Somebody's environment. */
struct lc_environment {
	/* Copies a value; false when there is none or it does not fit. */
	bool (*get)(void *context, const char *name, char *value, size_t size);
	void (*set)(void *context, const char *name, const char *value);
	void (*unset)(void *context, const char *name);
	void *context;
};

/* That of the calling process. */
extern const struct lc_environment lc_own_environment;

/*
 * Gives a process that has entered the environment of the image, on top of the user's own. `kept`
 * are variables that stay what they are, if they are set: NAME[,...], or NULL.
 */
void lc_apply_environment(const struct lc_container *container,
			  const struct lc_environment *environment, const char *kept);

/* Whether an image may say what this variable is. */
bool lc_image_may_set(const char *name);

#endif
