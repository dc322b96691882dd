#define _GNU_SOURCE
#include "node.h"
#include "plugin.h"
#include "shared/ask.h"
#include "shared/note.h"
#include "shared/rules.h"
#include "shared/spec.h"

#include <errno.h>
#include <slurm/slurm.h>
#include <stdlib.h>
#include <string.h>

enum {
	PROLOG_MILLIS = 3000,
	START_MILLIS = 2000,
	EPILOG_MILLIS = 10000,
};

static const char *spec_of_prolog(uint32_t *job, uint32_t *uid)
{
	const char *spec = getenv("SPANK_" SPEC_CONTROL);
	const char *job_text = getenv("SLURM_JOB_ID"), *uid_text = getenv("SLURM_JOB_UID");

	*job = job_text != NULL ? (uint32_t)strtoul(job_text, NULL, 10) : 0;
	*uid = uid_text != NULL ? (uint32_t)strtoul(uid_text, NULL, 10) : 0;
	return spec != NULL && spec[0] != '\0' ? spec : NULL;
}

/* Nobody waits for what the launcher says here; `matters` is whether the job has a container. */
static bool tell_launcher(const char *act, uint32_t job, bool matters,
			  const struct lc_frames *request, int timeout_millis)
{
	struct lc_error error;

	if (lc_tell(plugin_socket_path(), request, false, timeout_millis, &error) == 0)
		return true;
	if (matters)
		slurm_error("layercake: cannot %s job %u: %s", act, job, error.text);
	else
		slurm_verbose("layercake: cannot %s job %u: %s", act, job, error.text);
	return false;
}

void node_announce(int argc, char **argv)
{
	struct lc_frames request;
	uint32_t job, uid;
	const char *spec = spec_of_prolog(&job, &uid);

	if (plugin_read_arguments(argc, argv) < 0)
		return;
	if (spec == NULL && uid != 0 && lc_rules_place_tasks(plugin_rules_path()))
		spec = LC_SPEC_OF_DEFAULT;
	if (spec == NULL || strcmp(spec, LC_SPEC_OF_HOST) == 0)
		return;
	if (lc_leave_note(plugin_run_directory(), job, uid, spec) < 0)
		slurm_error("layercake: cannot leave a note of job %u in \"%s\": %s", job,
			    plugin_run_directory(), strerror(errno));
	lc_frames_register(&request, job, uid, spec);
	tell_launcher("announce", job, true, &request, PROLOG_MILLIS);
}

void node_start(spank_t spank)
{
	uint32_t job, step;
	uid_t uid;
	struct lc_frames request;

	if (spank_get_item(spank, S_JOB_STEPID, &step) != ESPANK_SUCCESS ||
	    step != SLURM_EXTERN_CONT || spank_get_item(spank, S_JOB_ID, &job) != ESPANK_SUCCESS ||
	    spank_get_item(spank, S_JOB_UID, &uid) != ESPANK_SUCCESS)
		return;
	/* The extern step has neither options nor environment: the launcher knows which jobs
	 * matter. */
	lc_frames_start(&request, job, uid);
	tell_launcher("start", job, false, &request, START_MILLIS);
}

void node_release(int argc, char **argv)
{
	struct lc_frames request;
	uint32_t job, uid;
	const char *spec = spec_of_prolog(&job, &uid);

	if (plugin_read_arguments(argc, argv) < 0)
		return;
	lc_frames_release(&request, job);
	/* The next launcher must not take it for a job in its prolog. */
	if (!tell_launcher("release", job, spec != NULL, &request, EPILOG_MILLIS))
		lc_remove_note(plugin_run_directory(), job, uid);
}
