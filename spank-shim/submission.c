#define _GNU_SOURCE
#include "submission.h"
#include "lookup.h"
#include "plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND "/usr/bin/layercake"

enum { LOOKUP_MILLIS = 5000 };

bool submission_is_batch(spank_context_t context)
{
	return context == S_CTX_ALLOCATOR && strcmp(program_invocation_short_name, "salloc") != 0;
}

/* sbatch and salloc make a new job, whatever job they are called from. */
bool submission_makes_job(spank_context_t context)
{
	return context == S_CTX_ALLOCATOR ||
	       (context == S_CTX_LOCAL && getenv("SLURM_JOB_ID") == NULL);
}

static bool is_wanted_by_site(spank_context_t context)
{
	return plugin_check() == CHECK_ALL ||
	       (plugin_check() == CHECK_SBATCH && submission_is_batch(context));
}

/* Returns 0 too where nobody can say, which the user is told; the rest need not be asked then. */
static int look_up(const char *image, bool *answered, struct lc_error *error)
{
	struct lc_error doubt;
	char line[sizeof(doubt.text) + 64];

	switch (lc_look_up(COMMAND, image, LOOKUP_MILLIS, &doubt)) {
	case LC_NO_IMAGE:
		*error = doubt;
		return -1;
	case LC_NO_ANSWER:
		snprintf(line, sizeof(line), "%s (the job is queued all the same)", doubt.text);
		plugin_say(line);
		*answered = false;
		break;
	case LC_NOTHING_WRONG:
		break;
	}
	return 0;
}

int submission_check(spank_context_t context, const struct lc_request *request,
		     struct lc_error *error)
{
	static bool checked; /* once for all components of a heterogeneous job */
	bool wanted = is_wanted_by_site(context), answered = true;

	/* Root has no containers: who is root submits for others, whose key this is not. */
	if (!submission_makes_job(context) || getuid() == 0 || checked)
		return 0;
	if (plugin_read_switch("SLURM_CH_CHECK", &wanted, error) < 0)
		return -1;
	if (!wanted)
		return 0;
	checked = true;
	int result = look_up(request->image, &answered, error);
	for (size_t i = 0; result == 0 && answered && i < request->mount_count; i++)
		if (request->mounts[i].image)
			result = look_up(request->mounts[i].source, &answered, error);
	return result;
}
