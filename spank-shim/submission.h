/* What is done once, before a job is queued: its images are looked up. */
#ifndef LAYERCAKE_SUBMISSION_H
#define LAYERCAKE_SUBMISSION_H

#include "request.h"
#include "shared/error.h"

#include <slurm/spank.h>
#include <stdbool.h>

/* Whether the command is sbatch; salloc's shell is where salloc was called. */
bool submission_is_batch(spank_context_t context);

/* Whether the command makes a job, and not a step of one. */
bool submission_makes_job(spank_context_t context);

/*
 * Looks up the image of a new job and those that it mounts, if the site and the user want that, and
 * asks the site's rules of them, where these are known here. With `host` the job asked for none.
 * Returns -1 with an error when nobody could run it. Where there is no answer the user gets a line,
 * and the job is queued.
 */
int submission_check(spank_context_t context, const struct lc_request *request, bool host,
		     bool batch_inside, struct lc_error *error);

#endif
