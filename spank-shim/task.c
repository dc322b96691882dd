#define _GNU_SOURCE
#include "task.h"
#include "directory.h"
#include "entry.h"
#include "plugin.h"
#include "request.h"
#include "shared/ask.h"
#include "shared/enter.h"
#include "shared/note.h"
#include "shared/rules.h"

#include <errno.h>
#include <slurm/slurm.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct task {
	spank_t spank;
	uint32_t job, step;
	bool speaks;  /* one task of a node says why they all fail */
	bool reports; /* one task of the step says what it waits for */
};

/* What the environment says of where the task is to run. */
enum place { PLACE_UNSAID, PLACE_HOST, PLACE_CONTAINER };

static void show_progress(const char *line, void *context)
{
	const struct task *task = context;

	if (task->reports)
		plugin_say(line);
}

_Noreturn static void end_task(const struct task *task, const struct lc_error *error)
{
	if (task->speaks)
		plugin_say(error->text);
	_exit(error->code);
}

static enum place read_place(const struct task *task, char spec[LC_SPEC_MAX + 1])
{
	struct lc_error error;
	spank_err_t found = spank_getenv(task->spank, SPEC_VARIABLE, spec, LC_SPEC_MAX + 1);

	if (found == ESPANK_SUCCESS)
		return spec[0] != '\0' ? PLACE_CONTAINER : PLACE_HOST;
	spec[0] = '\0';
	if (found == ESPANK_ENV_NOEXIST)
		return PLACE_UNSAID;
	lc_fail(&error, EXIT_REQUEST, "cannot read %s: %s", SPEC_VARIABLE, spank_strerror(found));
	end_task(task, &error);
}

static bool get_variable(void *context, const char *name, char *value, size_t size)
{
	return spank_getenv(context, name, value, (int)size) == ESPANK_SUCCESS;
}

static void set_variable(void *context, const char *name, const char *value)
{
	spank_setenv(context, name, value, 1);
}

static void unset_variable(void *context, const char *name)
{
	spank_unsetenv(context, name);
}

/* Where the user wants the step to start; NULL with an error when that is nowhere. */
static const char *choose_directory(const struct lc_request *request,
				    const struct lc_container *container, const char *current,
				    struct lc_error *error)
{
	const char *wanted = request->texts[LC_WORKDIR];

	if (wanted == NULL)
		return current;
	if (strcmp(wanted, LC_WORKDIR_OF_IMAGE) != 0)
		return wanted;
	wanted = lc_container_find(container, "LAYERCAKE_WORKDIR");
	if (wanted == NULL)
		lc_fail(error, EXIT_REQUEST,
			"cannot start in the image's working directory: no step can (choose "
			"another: --ch-workdir=PATH)");
	return wanted;
}

/*
 * srun knows where it is itself, but not what --chdir says. Fills `own` and returns it when the
 * task's directory asks for another spec.
 */
static const char *show_directory(struct lc_request *request, const char *spec, const char *current,
				  const char *home, char own[LC_SPEC_MAX + 1])
{
	char top[PATH_MAX];
	struct lc_error error;

	if (!lc_request_has_container(request) ||
	    !lc_request_show(request, current, lc_find_mount_point(current, top) ? top : NULL,
			     home) ||
	    lc_request_format(request, own, &error) < 0)
		return spec;
	return own;
}

/* What the spec says of the task alone; a step from elsewhere, without one, says nothing. */
static void read_request(const struct task *task, const char *spec, struct lc_request *request)
{
	struct lc_error error;

	if (spec[0] != '\0' && lc_request_parse(request, spec, &error) < 0)
		end_task(task, &error);
}

/*
 * PMIx's server, which is in slurmstepd, asks clients for their uid and takes no other than that of
 * the job. The client would report this in words that lead nowhere. Other programs go on, and there
 * are sites where all steps get PMIx.
 */
static void warn_of_pmix(const struct task *task)
{
	char rank[16];

	if (getuid() == 0 && task->reports &&
	    get_variable(task->spank, "PMIX_RANK", rank, sizeof(rank)))
		plugin_say("PMIx does not take root inside for you: programs that use it fail in "
			   "this step (leave out --ch-root for them, or say --mpi=pmi2)");
}

/* Whether the task is what drives the job, a batch script or the shell of salloc on a node. */
static bool is_driver(const struct task *task)
{
	return task->step == SLURM_BATCH_SCRIPT || task->step == SLURM_INTERACTIVE_STEP;
}

static bool is_inside_batch(const struct task *task)
{
	char value[2];

	return task->step == SLURM_BATCH_SCRIPT &&
	       get_variable(task->spank, BATCH_VARIABLE, value, sizeof(value)) &&
	       strcmp(value, "1") == 0;
}

/* Where batch scripts are by default, the launcher knows, but not what --ch-batch said. */
static const char *tell_of_batch(const struct task *task, const char *spec,
				 char told[LC_SPEC_MAX + 1])
{
	if (lc_spec_names_image(spec) || !is_inside_batch(task))
		return spec;
	int length = snprintf(told, LC_SPEC_MAX + 1, "%s;batch=1", spec);
	return length <= LC_SPEC_MAX ? told : spec;
}

/* Returns false where the launcher leaves the task on the host, if the spec names no image. */
static bool enter_container(struct task *task, const char *spec)
{
	const struct lc_environment environment = {get_variable, set_variable, unset_variable,
						   task->spank};
	struct lc_request request = {0};
	struct lc_container container;
	struct lc_error error, lost;
	char home_value[PATH_MAX], current[PATH_MAX], own[LC_SPEC_MAX + 1], told[LC_SPEC_MAX + 1];
	const char *directory, *home = NULL;

	if (get_variable(task->spank, "HOME", home_value, sizeof(home_value)))
		home = home_value;
	read_request(task, spec, &request);
	bool is_somewhere = lc_find_directory(home, current, &lost) == 0;
	if (is_somewhere)
		spec = show_directory(&request, spec, current, home, own);
	spec = tell_of_batch(task, spec, told);
	int answer = lc_ask_to_enter(plugin_socket_path(), task->job, task->step, spec,
				     show_progress, task, &container, &error);
	if (answer > 0) {
		lc_request_clear(&request);
		return false;
	}
	if (!is_somewhere)
		end_task(task, &lost);
	if (answer < 0 ||
	    (directory = choose_directory(&request, &container, current, &error)) == NULL ||
	    (request.entry_point && !is_driver(task) &&
	     entry_prepare(task->spank, &container, &error) < 0) ||
	    lc_enter(&container, &error) < 0 || lc_start_in(directory, &error) < 0)
		end_task(task, &error);
	warn_of_pmix(task);
	lc_apply_environment(&container, &environment, request.texts[LC_ENV]);
	lc_container_clear(&container);
	lc_request_clear(&request);
	return true;
}

/* Whose task this is. */
static bool identify(struct task *task)
{
	int local_task;
	uint32_t global_task;

	if (spank_get_item(task->spank, S_JOB_ID, &task->job) != ESPANK_SUCCESS ||
	    spank_get_item(task->spank, S_JOB_STEPID, &task->step) != ESPANK_SUCCESS ||
	    spank_get_item(task->spank, S_TASK_ID, &local_task) != ESPANK_SUCCESS ||
	    spank_get_item(task->spank, S_TASK_GLOBAL_ID, &global_task) != ESPANK_SUCCESS)
		return false;
	task->speaks = local_task == 0;
	task->reports = global_task == 0;
	return true;
}

/* Returning an error would do under "required"; under "optional" the task would run on the host. */
_Noreturn static void end_unknown_task(const struct task *task)
{
	struct lc_error error;

	lc_fail(&error, EXIT_INTERNAL,
		"cannot tell whether this task belongs in a container: slurmstepd does not say of "
		"which job and step it is (tell the site: is the plugin built for this Slurm?)");
	end_task(task, &error);
}

/* A job is driven from where srun is, and srun is on the host. */
static void explain_driver(const struct task *task, const char *spec)
{
	struct lc_request request = {0};
	struct lc_error error;
	char line[1024];

	if (lc_request_parse(&request, spec, &error) == 0 && request.image != NULL) {
		snprintf(line, sizeof(line), "this %s runs on the host, its srun steps run in %s%s",
			 task->step == SLURM_BATCH_SCRIPT ? "batch script" : "shell", request.image,
			 task->step == SLURM_BATCH_SCRIPT
			     ? " (sbatch --ch-batch puts the script inside, too)"
			     : "");
		plugin_say(line);
	}
	lc_request_clear(&request);
}

/* Whether the launcher has to be asked where a task belongs that has not asked for an image. */
static bool rules_place_tasks(void)
{
	return getuid() != 0 && lc_rules_place_tasks(plugin_rules_path());
}

/* The site may have no tasks on the host. */
static void require_host(struct task *task)
{
	struct lc_container container;
	struct lc_error error;

	if (rules_place_tasks() &&
	    lc_ask_to_enter(plugin_socket_path(), task->job, task->step, LC_SPEC_OF_HOST,
			    show_progress, task, &container, &error) < 0)
		end_task(task, &error);
}

/* Nobody but the job's note can say. When that cannot be read, the host is as wrong as any. */
static void place_by_note(struct task *task)
{
	struct lc_error error;

	switch (lc_find_note(plugin_run_directory(), task->job, getuid())) {
	case LC_NOTE_OF_JOB:
		enter_container(task, LC_SPEC_OF_DEFAULT);
		break;
	case LC_NOTE_UNKNOWN:
		lc_fail(
		    &error, EXIT_INTERNAL,
		    "cannot tell whether job %u has a container: \"%s/contained\" on this node: "
		    "%s (tell the site, or use another node)",
		    task->job, plugin_run_directory(), strerror(errno));
		end_task(task, &error);
	case LC_NO_NOTE:
	case LC_NOTE_OF_STEPS:
		if (rules_place_tasks())
			enter_container(task, LC_SPEC_OF_DEFAULT);
		break;
	}
}

/*
 * Puts the task where it belongs. A step whose environment says nothing, as with srun --jobid from
 * elsewhere, is in the container its job was announced with.
 */
static void put(struct task *task, enum place place, const char *spec, bool expected)
{
	struct lc_error error;

	if (place == PLACE_CONTAINER) {
		if (!enter_container(task, spec)) {
			lc_fail(&error, EXIT_REQUEST,
				"a container was asked for, but no image is named, and this job "
				"has none by default (add --ch-image=NAME)");
			end_task(task, &error);
		}
	} else if (expected) {
		lc_fail(&error, EXIT_INTERNAL,
			"a container was asked for, but %s did not reach this task (do not remove "
			"it from the environment)",
			SPEC_VARIABLE);
		end_task(task, &error);
	} else if (place == PLACE_UNSAID) {
		place_by_note(task);
	} else {
		require_host(task);
	}
}

/* A batch script or a shell is on the host, unless the site has it elsewhere. */
static void put_driver(struct task *task, enum place place, const char *spec)
{
	if (place == PLACE_UNSAID && rules_place_tasks())
		enter_container(task, LC_SPEC_OF_DEFAULT);
	else if (place == PLACE_CONTAINER && !lc_spec_names_image(spec))
		enter_container(task, spec);
	else if (place != PLACE_UNSAID)
		require_host(task);
	if (place == PLACE_CONTAINER)
		explain_driver(task, spec);
}

void task_place(spank_t spank, bool expected)
{
	struct task task = {.spank = spank, .speaks = true};
	char spec[LC_SPEC_MAX + 1];
	bool known = identify(&task);
	enum place place = read_place(&task, spec);

	if (!known && (place != PLACE_HOST || expected || rules_place_tasks()))
		end_unknown_task(&task);
	if (is_driver(&task) && !is_inside_batch(&task)) {
		put_driver(&task, place, spec);
		return;
	}
	put(&task, place, spec, expected || is_inside_batch(&task));
}
