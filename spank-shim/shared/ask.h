/* What clients ask of the launcher, and how long they wait for it. */
#ifndef LAYERCAKE_ASK_H
#define LAYERCAKE_ASK_H

#include "error.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the launcher's socket and the notes of jobs are, unless somebody says otherwise. */
#define LC_RUN_DIRECTORY "/run/layercake"

enum {
	/* A launcher is given up that says nothing for so long, or does not run for so long. */
	LC_SILENCE_MILLIS = 30000,
	LC_ABSENCE_MILLIS = 10000,
	LC_IMPATIENCE_MILLIS = 3000, /* instead of the first, when it is not needed */
};

/* The launcher's socket, or NULL when the name of the run directory is too long. */
const char *lc_socket_path(const char *run_directory, char *path, size_t size);

/* Called with each line for the user, which may be hostile to terminals. */
typedef void lc_progress(const char *line, void *context);

/*
 * Sends a request and waits for OK, all within the time given. Patient: a launcher that is gone may
 * come back within it.
 */
int lc_tell(const char *socket_path, const struct lc_frames *request, bool patient,
	    int timeout_millis, struct lc_error *error);

/*
 * Asks to enter and waits as long as the launcher shows signs of life; one that is restarted
 * meanwhile is asked anew. On success the caller owns the container and gives it back with
 * lc_container_clear. Returns 1, with no container, when the task is to be on the host, which is
 * never the answer to a spec that names an image.
 */
int lc_ask_to_enter(const char *socket_path, uint32_t job, uint32_t step, const char *spec,
		    lc_progress *progress, void *context, struct lc_container *container,
		    struct lc_error *error);

/*
 * Asks for the container of an ssh session in the same way. The job is the one that
 * pam_slurm_adopt picked, 0 when it said none. Returns 1, with no container to clear, when that job
 * has none on this node. Not patient: no launcher is no reason to wait.
 */
int lc_ask_for_session(const char *socket_path, uint32_t job, bool patient, lc_progress *progress,
		       void *context, struct lc_container *container, struct lc_error *error);

#endif
