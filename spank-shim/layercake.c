/*
 * The SPANK plugin: srun, sbatch and salloc learn --ch-image and its kin, and the tasks of such
 * steps run in a container. All work that can take time or fail is the launcher's;
 * this is what slurmstepd and the commands must do themselves.
 *
 *   slurm_spank_init            options; what the allocation has asked for
 *   slurm_spank_init_post_opt   commands: options checked and published as one spec
 *   slurm_spank_job_prolog      node: the launcher hears of the job and starts to fetch
 *   slurm_spank_task_post_fork  node, extern step: the launcher may start the container
 *   slurm_spank_task_init       task: waits for the container and enters it, or ends the task
 *   slurm_spank_job_epilog      node: the launcher clears up
 *
 * A hook of the node that fails drains the node. So they never fail, with one exception: task_init
 * ends its task by itself, which does no harm to the node, and holds even if plugstack.conf says
 * "optional". A task that asked for a container never runs on the host.
 */
#define _GNU_SOURCE
#include "request.h"
#include "shared/ask.h"
#include "shared/enter.h"
#include "shared/note.h"
#include "shared/printable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <slurm/slurm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Slurm finds the hooks by name; all else stays hidden. */
#pragma GCC visibility push(default)
#include <slurm/spank.h>
SPANK_PLUGIN(layercake, 1)
#pragma GCC visibility pop

#define SPEC_VARIABLE "SLURM_LAYERCAKE_SPEC"   /* travels with the environment of job and step */
#define SPEC_CONTROL "LAYERCAKE_SPEC"	       /* SPANK_LAYERCAKE_SPEC for the job's prolog */
#define BATCH_VARIABLE "SLURM_LAYERCAKE_BATCH" /* "1": the batch script is inside, too */
#define NO_IMAGE "none"			       /* --ch-image=none: run on the host */

enum {
	PROLOG_MILLIS = 3000,
	START_MILLIS = 2000,
	EPILOG_MILLIS = 10000,
};

enum option_value { OPTION_IMAGE, OPTION_MOUNT, OPTION_ROOT, OPTION_BATCH };

static const char *socket_path = "/run/layercake/launcher.sock";
static char run_directory[PATH_MAX] = "/run/layercake"; /* where the socket is */

/* In the commands: what their options say, and what the allocation they run in has said. */
static struct lc_request asked, allocation;
static bool asked_for_host;  /* --ch-image=none */
static bool asked_for_batch; /* --ch-batch */
static bool in_allocation;   /* which has, or has explicitly not, a container */
static struct lc_error option_error, allocation_error;

/* In slurmstepd: an option has arrived that the spec must answer. */
static bool container_expected;

/* Tells the user one line. */
static void say(const char *line)
{
	char text[2200];
	int length = snprintf(text, sizeof(text), "layercake: %s", line);

	if (length < 0)
		return;
	if ((size_t)length > sizeof(text) - 2)
		length = sizeof(text) - 2;
	text[length] = '\0';
	lc_make_printable(text);
	size_t size = strlen(text);
	text[size++] = '\n';
	if (write(STDERR_FILENO, text, size) < 0)
		return; /* nobody listens */
}

/* --- options --- */

static int read_option(int value, const char *argument, int remote)
{
	struct lc_error *error = &option_error;

	if (remote) {
		if (value != OPTION_IMAGE || argument == NULL || strcmp(argument, NO_IMAGE) != 0)
			container_expected = true; /* a batch script on the host may ignore it */
		return 0;
	}
	if (error->code != 0) /* one is enough */
		return 0;
	switch ((enum option_value)value) {
	case OPTION_IMAGE:
		asked_for_host = strcmp(argument, NO_IMAGE) == 0;
		if (!asked_for_host)
			lc_request_set_image(&asked, argument, error);
		break;
	case OPTION_MOUNT:
		lc_request_add_mounts(&asked, argument, error);
		break;
	case OPTION_ROOT:
		asked.root = true;
		break;
	case OPTION_BATCH:
		asked_for_batch = true;
		break;
	}
	return 0; /* init_post_opt refuses: from here srun would exit with 255 */
}

static struct spank_option options[] = {
    {"ch-image", "NAME", "run the tasks in this container image; \"none\" for on the host", 1,
     OPTION_IMAGE, read_option},
    {"ch-mount", "SOURCE[:DESTINATION][:ro|rw][,...]",
     "show files, directories or devices of the node in the container", 1, OPTION_MOUNT,
     read_option},
    {"ch-root", NULL, "be root in the container, without more rights outside", 0, OPTION_ROOT,
     read_option},
    {"ch-batch", NULL, "sbatch: run the batch script in the container, too", 0, OPTION_BATCH,
     read_option},
};

#define INHERITED(option) "SLURM_SPANK__SLURM_SPANK_OPTION_layercake_" option

/*
 * Slurm hands options of the allocation on to inner sruns, but of a repeated option only the last
 * value. The spec has them all; without these variables an option that arrives here is one that was
 * given here.
 */
static void forget_inherited_options(void)
{
	static const char *const variables[] = {INHERITED("ch_image"), INHERITED("ch_mount"),
						INHERITED("ch_root"), INHERITED("ch_batch")};

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		unsetenv(variables[i]);
		unsetenv(variables[i] + strlen("SLURM_SPANK_"));
	}
}

/* plugstack.conf: socket=PATH */
static int read_arguments(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "socket=/", 8) != 0) {
			slurm_error("layercake: unknown argument \"%s\" in plugstack.conf "
				    "(known: socket=PATH)",
				    argv[i]);
			return -1;
		}
		socket_path = argv[i] + strlen("socket=");
		snprintf(run_directory, sizeof(run_directory), "%.*s",
			 (int)(strrchr(socket_path, '/') - socket_path), socket_path);
	}
	return 0;
}

/* --- in srun, sbatch and salloc --- */

/* Not salloc, whose shell is where salloc was called. */
static bool is_sbatch(spank_context_t context)
{
	return context == S_CTX_ALLOCATOR && strcmp(program_invocation_short_name, "salloc") != 0;
}

static int read_allocation(spank_context_t context, struct lc_error *error)
{
	const char *spec = getenv(SPEC_VARIABLE), *image = getenv(INHERITED("ch_image"));

	/* sbatch and salloc make a new job, whatever job they are called from. */
	if (context != S_CTX_LOCAL || getenv("SLURM_JOB_ID") == NULL)
		return 0;
	if (spec == NULL && image != NULL && strcmp(image, NO_IMAGE) != 0)
		return lc_fail(error, LC_REQUEST,
			       "the allocation has a container, but " SPEC_VARIABLE
			       " is gone from the environment (keep it, or say --ch-image=none)");
	if (spec == NULL)
		return 0;
	in_allocation = true;
	return spec[0] != '\0' ? lc_request_parse(&allocation, spec, error) : 0;
}

/* A variable that stands for an option without value: 1 or 0; unset and empty are 0. */
static int read_switch(const char *name, bool *on, struct lc_error *error)
{
	const char *value = getenv(name);

	if (value == NULL || value[0] == '\0' || strcmp(value, "0") == 0)
		return 0;
	if (strcmp(value, "1") != 0)
		return lc_fail(error, LC_REQUEST, "cannot use %s=%.80s: it is 1 or 0", name, value);
	*on = true;
	return 0;
}

/* For what no option said, outside of an allocation that has spoken. */
static int read_defaults(spank_context_t context, struct lc_request *request,
			 struct lc_error *error)
{
	const char *image = getenv("SLURM_CH_IMAGE"), *mounts = getenv("SLURM_CH_MOUNT");

	if (image != NULL && image[0] != '\0' && strcmp(image, NO_IMAGE) != 0 &&
	    lc_request_set_image(request, image, error) < 0)
		return -1;
	/* Without any image they are for other jobs. */
	if (request->image == NULL && asked.image == NULL)
		return 0;
	if (read_switch("SLURM_CH_ROOT", &request->root, error) < 0 ||
	    (is_sbatch(context) && read_switch("SLURM_CH_BATCH", &asked_for_batch, error) < 0))
		return -1;
	if (mounts != NULL && mounts[0] != '\0' && asked.mount_count == 0)
		return lc_request_add_mounts(request, mounts, error);
	return 0;
}

/* What is asked for beside an image, which is missing. */
static const char *lone_option(const struct lc_request *request)
{
	if (request->mount_count > 0)
		return "--ch-mount";
	if (request->root)
		return "--ch-root";
	return asked_for_batch ? "--ch-batch" : NULL;
}

/* The container of this job or step; without an image when it is to run on the host. */
static int compose_request(spank_context_t context, struct lc_request *request,
			   struct lc_error *error)
{
	int result;

	if (asked_for_batch && !is_sbatch(context))
		return lc_fail(error, LC_REQUEST,
			       "--ch-batch is for sbatch (for a shell in the container: srun --pty "
			       "--ch-image=NAME sh)");
	if (asked_for_host && lone_option(&asked) != NULL)
		return lc_fail(error, LC_REQUEST,
			       "%s needs an image, but --ch-image=none asks for none",
			       lone_option(&asked));
	if (asked_for_host)
		return 0;
	if (allocation_error.code != 0) {
		*error = allocation_error;
		return -1;
	}
	result = in_allocation ? lc_request_merge(request, &allocation, error)
			       : read_defaults(context, request, error);
	if (result < 0 || lc_request_merge(request, &asked, error) < 0)
		return -1;
	if (request->image == NULL && lone_option(request) != NULL)
		return lc_fail(error, LC_REQUEST, "%s needs an image: add --ch-image=NAME",
			       lone_option(request));
	return 0;
}

/*
 * srun, sbatch and salloc come here once for each component of a heterogeneous job, with the
 * options of the earlier ones still set, and the environment that the steps get is that of the
 * last. So a component that wants another container would have its image run in all of them.
 */
static int require_one_container(const char *spec, struct lc_error *error)
{
	static char *first;

	if (first == NULL && (first = strdup(spec)) == NULL)
		return lc_fail(error, LC_INTERNAL, "out of memory");
	if (strcmp(first, spec) != 0)
		return lc_fail(error, LC_REQUEST,
			       "the components of a heterogeneous job have one container: give "
			       "--ch-image and its kin to the first, they hold for all");
	return 0;
}

static int publish_request(spank_t spank, const struct lc_request *request, struct lc_error *error)
{
	char spec[LC_SPEC_MAX + 1] = "";

	if (request->image != NULL && lc_request_format(request, spec, error) < 0)
		return -1;
	if (require_one_container(spec, error) < 0)
		return -1;
	/* Empty is a statement: not even what the allocation has. */
	if (request->image != NULL || asked_for_host || in_allocation)
		setenv(SPEC_VARIABLE, spec, 1);
	else
		unsetenv(SPEC_VARIABLE);
	if (asked_for_batch)
		setenv(BATCH_VARIABLE, "1", 1);
	else
		unsetenv(BATCH_VARIABLE);
	if (request->image != NULL &&
	    spank_job_control_setenv(spank, SPEC_CONTROL, spec, 1) != ESPANK_SUCCESS)
		return lc_fail(error, LC_INTERNAL, "cannot hand the options on to the job");
	return 0;
}

/* --- on the node --- */

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

	if (lc_tell(socket_path, request, false, timeout_millis, &error) == 0)
		return true;
	if (matters)
		slurm_error("layercake: cannot %s job %u: %s", act, job, error.text);
	else
		slurm_verbose("layercake: cannot %s job %u: %s", act, job, error.text);
	return false;
}

/* --- in the task --- */

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
		say(line);
}

_Noreturn static void end_task(const struct task *task, const struct lc_error *error)
{
	if (task->speaks)
		say(error->text);
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
	lc_fail(&error, LC_REQUEST, "cannot read %s: %s", SPEC_VARIABLE, spank_strerror(found));
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

static void enter_container(struct task *task, const char *spec)
{
	const struct lc_environment environment = {get_variable, set_variable, unset_variable,
						   task->spank};
	struct lc_container container;
	struct lc_error error;
	char home[4096];
	bool has_home = get_variable(task->spank, "HOME", home, sizeof(home));

	if (lc_ask_to_enter(socket_path, task->job, task->step, spec, show_progress, task,
			    &container, &error) < 0 ||
	    lc_enter(&container, has_home ? home : NULL, &error) < 0)
		end_task(task, &error);
	lc_apply_environment(&container, &environment);
	lc_container_clear(&container);
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

	lc_fail(&error, LC_INTERNAL,
		"cannot tell whether this task belongs in a container: slurmstepd does not say of "
		"which job and step it is (tell the site: is the plugin built for this Slurm?)");
	end_task(task, &error);
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

/* A job is driven from where srun is, and srun is on the host. */
static void explain_driver(const struct task *task, const char *spec)
{
	struct lc_request request = {0};
	struct lc_error error;
	char line[1024];

	if (lc_request_parse(&request, spec, &error) == 0) {
		snprintf(line, sizeof(line), "this %s runs on the host, its srun steps run in %s%s",
			 task->step == SLURM_BATCH_SCRIPT ? "batch script" : "shell", request.image,
			 task->step == SLURM_BATCH_SCRIPT
			     ? " (sbatch --ch-batch puts the script inside, too)"
			     : "");
		say(line);
	}
	lc_request_clear(&request);
}

/* Nobody but the job's note can say. When that cannot be read, the host is as wrong as any. */
static void place_by_note(struct task *task)
{
	struct lc_error error;

	switch (lc_find_note(run_directory, task->job, getuid())) {
	case LC_NOTE_OF_JOB:
		enter_container(task, "");
		break;
	case LC_NOTE_UNKNOWN:
		lc_fail(
		    &error, LC_INTERNAL,
		    "cannot tell whether job %u has a container: \"%s/contained\" on this node: "
		    "%s (tell the site, or use another node)",
		    task->job, run_directory, strerror(errno));
		end_task(task, &error);
	case LC_NO_NOTE:
	case LC_NOTE_OF_STEPS:
		break;
	}
}

/*
 * Puts the task where it belongs. A step whose environment says nothing, as with srun --jobid from
 * elsewhere, is in the container its job was announced with.
 */
static void place_task(struct task *task, enum place place, const char *spec)
{
	struct lc_error error;

	if (place == PLACE_CONTAINER) {
		enter_container(task, spec);
	} else if (container_expected) {
		lc_fail(&error, LC_INTERNAL,
			"a container was asked for, but %s did not reach this task (do not remove "
			"it from the environment)",
			SPEC_VARIABLE);
		end_task(task, &error);
	} else if (place == PLACE_UNSAID) {
		place_by_note(task);
	}
}

/* --- the hooks --- */

int slurm_spank_init(spank_t spank, int argc, char **argv)
{
	spank_context_t context = spank_context();

	if (read_arguments(argc, argv) < 0)
		return -1;
	if (context != S_CTX_LOCAL && context != S_CTX_ALLOCATOR && context != S_CTX_REMOTE)
		return 0;
	/* Not the static table: sbatch and salloc do not read it. */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (spank_option_register(spank, &options[i]) != ESPANK_SUCCESS)
			return -1;
	if (context == S_CTX_REMOTE)
		return 0;
	read_allocation(context, &allocation_error);
	forget_inherited_options();
	return 0;
}

int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv)
{
	struct lc_error error = option_error;
	struct lc_request request = {0};

	(void)argc;
	(void)argv;
	if (spank_context() == S_CTX_REMOTE)
		return 0;
	if (error.code == 0 && compose_request(spank_context(), &request, &error) == 0)
		publish_request(spank, &request, &error);
	lc_request_clear(&request);
	if (error.code == 0)
		return 0;
	say(error.text); /* slurm_spank_log(3) is silent with --quiet */
	return -1;
}

int slurm_spank_job_prolog(spank_t spank, int argc, char **argv)
{
	struct lc_frames request;
	uint32_t job, uid;
	const char *spec = spec_of_prolog(&job, &uid);

	(void)spank;
	if (spec == NULL || read_arguments(argc, argv) < 0)
		return 0;
	if (lc_leave_note(run_directory, job, uid, spec) < 0)
		slurm_error("layercake: cannot leave a note of job %u in \"%s\": %s", job,
			    run_directory, strerror(errno));
	lc_frames_register(&request, job, uid, spec);
	tell_launcher("announce", job, true, &request, PROLOG_MILLIS);
	return 0;
}

int slurm_spank_task_post_fork(spank_t spank, int argc, char **argv)
{
	uint32_t job, step;
	uid_t uid;
	struct lc_frames request;

	(void)argc;
	(void)argv;
	if (spank_get_item(spank, S_JOB_STEPID, &step) != ESPANK_SUCCESS ||
	    step != SLURM_EXTERN_CONT || spank_get_item(spank, S_JOB_ID, &job) != ESPANK_SUCCESS ||
	    spank_get_item(spank, S_JOB_UID, &uid) != ESPANK_SUCCESS)
		return 0;
	/* The extern step has neither options nor environment: the launcher knows which jobs
	 * matter. */
	lc_frames_start(&request, job, uid);
	tell_launcher("start", job, false, &request, START_MILLIS);
	return 0;
}

int slurm_spank_task_init(spank_t spank, int argc, char **argv)
{
	struct task task = {.spank = spank, .speaks = true};
	char spec[LC_SPEC_MAX + 1];

	(void)argc;
	(void)argv;
	bool known = identify(&task);
	enum place place = read_place(&task, spec);
	if (!known && (place != PLACE_HOST || container_expected))
		end_unknown_task(&task);
	if (is_driver(&task) && !is_inside_batch(&task)) {
		if (place == PLACE_CONTAINER)
			explain_driver(&task, spec);
		return 0;
	}
	container_expected |= is_inside_batch(&task);
	place_task(&task, place, spec);
	return 0;
}

int slurm_spank_job_epilog(spank_t spank, int argc, char **argv)
{
	struct lc_frames request;
	uint32_t job, uid;
	const char *spec = spec_of_prolog(&job, &uid);

	(void)spank;
	if (read_arguments(argc, argv) < 0)
		return 0;
	lc_frames_release(&request, job);
	/* The next launcher must not take it for a job in its prolog. */
	if (!tell_launcher("release", job, spec != NULL, &request, EPILOG_MILLIS))
		lc_remove_note(run_directory, job, uid);
	return 0;
}
