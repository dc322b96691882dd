#define _GNU_SOURCE
#include "options.h"
#include "caller.h"
#include "directory.h"
#include "plugin.h"
#include "request.h"
#include "shared/rules.h"
#include "submission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_IMAGE "none" /* --ch-image=none: run on the host */

enum option_value {
	OPTION_IMAGE,
	OPTION_MOUNT,
	OPTION_ROOT,
	OPTION_WRITABLE,
	OPTION_BATCH,
	OPTION_ENTRY_POINT,
	OPTION_TEXT
};

/* In the commands: what their options say, and what the allocation they run in has said. */
static struct lc_request asked, allocation;
static bool asked_for_host;  /* --ch-image=none */
static bool asked_for_batch; /* --ch-batch */
static bool in_allocation;   /* which has, or has explicitly not, a container */
static struct lc_error option_error, allocation_error;

/* In slurmstepd: an option has arrived that the spec must answer. */
static bool container_expected;

static int read_text(struct lc_request *request, enum lc_text which, const char *argument,
		     struct lc_error *error)
{
	if (which == LC_HOME)
		return lc_request_set_home(request, argument, caller_words(), error);
	if (which == LC_ENV || which == LC_DEVICE || which == LC_PROFILE)
		return lc_request_add_text(request, which, argument, error);
	return lc_request_set_text(request, which, argument, error);
}

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
	if (value >= OPTION_TEXT) {
		read_text(&asked, (enum lc_text)(value - OPTION_TEXT), argument, error);
		return 0;
	}
	switch ((enum option_value)value) {
	case OPTION_IMAGE:
		asked_for_host = strcmp(argument, NO_IMAGE) == 0;
		if (!asked_for_host)
			lc_request_set_image(&asked, argument, error);
		break;
	case OPTION_MOUNT:
		lc_request_add_mounts(&asked, argument, caller_words(), error);
		break;
	case OPTION_ROOT:
		asked.root = true;
		break;
	case OPTION_WRITABLE:
		lc_request_set_writable(&asked, argument, error);
		break;
	case OPTION_BATCH:
		asked_for_batch = true;
		break;
	case OPTION_ENTRY_POINT:
		asked.entry_point = true;
		break;
	case OPTION_TEXT:
		break;
	}
	return 0; /* init_post_opt refuses: from here srun would exit with 255 */
}

static struct spank_option options[] = {
    {"ch-image", "NAME", "run the tasks in this container image; \"none\": on the host", 1,
     OPTION_IMAGE, read_option},
    {"ch-mount", "SOURCE[:DESTINATION][:ro|rw][,...]",
     "show files, directories or devices of the node in the container, or with "
     "image:NAME:DESTINATION "
     "another image",
     1, OPTION_MOUNT, read_option},
    {"ch-root", NULL, "be root in the container, without more rights outside", 0, OPTION_ROOT,
     read_option},
    {"ch-writable", "[SIZE]",
     "make the image's files writable for the life of the job, on each node separately", 2,
     OPTION_WRITABLE, read_option},
    {"ch-batch", NULL, "sbatch: run the batch script in the container, too", 0, OPTION_BATCH,
     read_option},
    {"ch-entrypoint", NULL, "let the image's entry point run the command", 0, OPTION_ENTRY_POINT,
     read_option},
    {"ch-workdir", "PATH|image", "start in this directory of the container, or in the image's own",
     1, OPTION_TEXT + LC_WORKDIR, read_option},
    {"ch-home", "PATH|no", "show this directory as your home in the container, or none", 1,
     OPTION_TEXT + LC_HOME, read_option},
    {"ch-env", "NAME[,...]", "keep your values of these variables, whatever the image says", 1,
     OPTION_TEXT + LC_ENV, read_option},
    {"ch-device", "VENDOR/CLASS=NAME[,...]",
     "use devices of the node with their libraries, such as nvidia.com/gpu=all", 1,
     OPTION_TEXT + LC_DEVICE, read_option},
    {"ch-profile", "+NAME|-NAME[,...]", "have, or do without, what the site offers by these names",
     1, OPTION_TEXT + LC_PROFILE, read_option},
};

/* What says them in place of an option, and names them in errors; NULL: nobody says it. */
static const struct {
	const char *option, *variable;
} texts[LC_TEXTS] = {
    [LC_CWD] = {NULL, NULL},
    [LC_HOME] = {"--ch-home", "SLURM_CH_HOME"},
    [LC_WORKDIR] = {"--ch-workdir", "SLURM_CH_WORKDIR"},
    [LC_ENV] = {"--ch-env", "SLURM_CH_ENV"},
    [LC_DEVICE] = {"--ch-device", "SLURM_CH_DEVICE"},
    [LC_PROFILE] = {"--ch-profile", "SLURM_CH_PROFILE"},
};

#define INHERITED(option) "SLURM_SPANK__SLURM_SPANK_OPTION_layercake_" option

/*
 * Slurm hands options of the allocation on to inner sruns, but of a repeated option only the last
 * value. The spec has them all; without these variables an option that arrives here is one that was
 * given here.
 */
static void forget_inherited_options(void)
{
	char variable[128];

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		snprintf(variable, sizeof(variable), INHERITED("%s"), options[i].name);
		for (char *dash = variable; (dash = strchr(dash, '-')) != NULL;)
			*dash = '_';
		unsetenv(variable);
		unsetenv(variable + strlen("SLURM_SPANK_"));
	}
}

static int read_allocation(spank_context_t context, struct lc_error *error)
{
	const char *spec = getenv(SPEC_VARIABLE), *image = getenv(INHERITED("ch_image"));

	if (submission_makes_job(context))
		return 0;
	if (spec == NULL && image != NULL && strcmp(image, NO_IMAGE) != 0)
		return lc_fail(error, EXIT_REQUEST,
			       "the allocation has a container, but " SPEC_VARIABLE
			       " is gone from the environment (keep it, or say --ch-image=none)");
	if (spec == NULL)
		return 0;
	in_allocation = true;
	return spec[0] != '\0' ? lc_request_parse(&allocation, spec, error) : 0;
}

/* SLURM_CH_WRITABLE, which is 1, 0 or a size. */
static int read_writable(struct lc_request *request, struct lc_error *error)
{
	const char *value = getenv("SLURM_CH_WRITABLE");

	if (value == NULL || value[0] == '\0' || strcmp(value, "0") == 0)
		return 0;
	return lc_request_set_writable(request, strcmp(value, "1") == 0 ? NULL : value, error);
}

/* What is asked for beside an image, which is missing. */
static const char *lone_option(const struct lc_request *request)
{
	if (request->mount_count > 0)
		return "--ch-mount";
	if (request->root)
		return "--ch-root";
	if (request->entry_point)
		return "--ch-entrypoint";
	if (request->writable)
		return "--ch-writable";
	for (size_t i = 0; i < LC_TEXTS; i++)
		if (request->texts[i] != NULL && texts[i].option != NULL)
			return texts[i].option;
	return asked_for_batch ? "--ch-batch" : NULL;
}

/* For what no option said, outside of an allocation that has spoken. */
static int read_defaults(spank_context_t context, struct lc_request *request,
			 struct lc_error *error)
{
	const char *image = getenv("SLURM_CH_IMAGE"), *mounts = getenv("SLURM_CH_MOUNT");

	if (image != NULL && strcmp(image, NO_IMAGE) == 0)
		asked_for_host = asked.image == NULL && lone_option(&asked) == NULL;
	else if (image != NULL && image[0] != '\0' &&
		 lc_request_set_image(request, image, error) < 0)
		return -1;
	/* Without any image they are for other jobs. */
	if (request->image == NULL && asked.image == NULL)
		return 0;
	if (plugin_read_switch("SLURM_CH_ROOT", &request->root, error) < 0 ||
	    plugin_read_switch("SLURM_CH_ENTRYPOINT", &request->entry_point, error) < 0 ||
	    (!asked_for_batch && submission_is_batch(context) &&
	     plugin_read_switch("SLURM_CH_BATCH", &asked_for_batch, error) < 0))
		return -1;
	if (!asked.writable && read_writable(request, error) < 0)
		return -1;
	for (size_t i = 0; i < LC_TEXTS; i++) {
		const char *value = texts[i].variable != NULL ? getenv(texts[i].variable) : NULL;
		if (value != NULL && value[0] != '\0' && asked.texts[i] == NULL &&
		    read_text(request, (enum lc_text)i, value, error) < 0)
			return -1;
	}
	if (mounts != NULL && mounts[0] != '\0' && asked.mount_count == 0)
		return lc_request_add_mounts(request, mounts, caller_words(), error);
	return 0;
}

/* The container of this job or step; without an image when it is to run on the host. */
static int compose_request(spank_context_t context, struct lc_request *request,
			   struct lc_error *error)
{
	int result;

	if (asked_for_batch && !submission_is_batch(context))
		return lc_fail(error, EXIT_REQUEST,
			       "--ch-batch is for sbatch (for a shell in the container: srun --pty "
			       "--ch-image=NAME sh)");
	if (asked_for_batch && asked.entry_point)
		return lc_fail(
		    error, EXIT_REQUEST,
		    "--ch-entrypoint is for srun steps, and a batch script that is inside "
		    "is none (leave out --ch-batch, or call the entry point in the "
		    "script)");
	if (asked_for_host && lone_option(&asked) != NULL)
		return lc_fail(error, EXIT_REQUEST,
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
	const char *lone = lone_option(request);
	if (request->image != NULL || (lone == NULL && !request->default_image))
		return 0;
	/* Which image jobs have that name none depends on where they run. */
	request->default_image = lc_rules_place_tasks(plugin_rules_path());
	if (!request->default_image)
		return lc_fail(error, EXIT_REQUEST, "%s needs an image: add --ch-image=NAME",
			       lone != NULL ? lone : SPEC_VARIABLE);
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
		return lc_fail(error, EXIT_INTERNAL, "out of memory");
	if (strcmp(first, spec) != 0)
		return lc_fail(error, EXIT_REQUEST,
			       "the components of a heterogeneous job have one container: give "
			       "--ch-image and the like to the first component; they apply to all");
	return 0;
}

/* Whether the command itself runs in a container, which has the directory and no node does. */
static bool is_directory_of_image(bool is_in_root)
{
	return is_in_root && spank_context() == S_CTX_LOCAL && getenv("CH_RUNNING") != NULL;
}

/* Where it cannot be, the step says so on its node. */
static void show_directory(struct lc_request *request)
{
	const struct caller *caller;
	struct lc_error error;
	char top[PATH_MAX];

	if (!lc_request_has_container(request))
		return;
	caller = caller_find();
	if (!caller->has_directory)
		return;
	bool is_in_root = !lc_find_mount_point(caller->directory, top);
	if (!is_directory_of_image(is_in_root))
		lc_request_show(request, caller->directory, is_in_root ? NULL : top, caller->home);
	else if (request->texts[LC_WORKDIR] == NULL)
		lc_request_set_text(request, LC_WORKDIR, caller->directory, &error);
}

static int publish_request(spank_t spank, const struct lc_request *request, struct lc_error *error)
{
	bool contained = lc_request_has_container(request);
	char spec[LC_SPEC_MAX + 1] = "";

	if (contained && lc_request_format(request, spec, error) < 0)
		return -1;
	if (require_one_container(spec, error) < 0)
		return -1;
	/* Empty is a statement: not even what the allocation has. */
	if (contained || asked_for_host || in_allocation)
		setenv(SPEC_VARIABLE, spec, 1);
	else
		unsetenv(SPEC_VARIABLE);
	if (asked_for_batch)
		setenv(BATCH_VARIABLE, "1", 1);
	else
		unsetenv(BATCH_VARIABLE);
	if ((contained || asked_for_host) &&
	    spank_job_control_setenv(spank, SPEC_CONTROL, contained ? spec : LC_SPEC_OF_HOST, 1) !=
		ESPANK_SUCCESS)
		return lc_fail(error, EXIT_INTERNAL, "cannot hand the options on to the job");
	return 0;
}

int options_register(spank_t spank)
{
	/* Not the static table: sbatch and salloc do not read it. */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (spank_option_register(spank, &options[i]) != ESPANK_SUCCESS)
			return -1;
	return 0;
}

void options_inherit(spank_context_t context)
{
	read_allocation(context, &allocation_error);
	forget_inherited_options();
}

int options_publish(spank_t spank, spank_context_t context)
{
	struct lc_error error = option_error;
	struct lc_request request = {0};

	if (error.code == 0 && compose_request(context, &request, &error) == 0) {
		show_directory(&request);
		if (publish_request(spank, &request, &error) == 0)
			submission_check(context, &request, asked_for_host, asked_for_batch,
					 &error);
	}
	lc_request_clear(&request);
	if (error.code == 0)
		return 0;
	plugin_say(error.text); /* slurm_spank_log(3) is silent with --quiet */
	/* Nothing has been submitted. For -1 the commands exit with 1, which says nothing. */
	if (error.code == EXIT_MISSING || error.code == EXIT_PERMISSION)
		exit(error.code);
	return -1;
}

bool options_expect_container(void)
{
	return container_expected;
}
