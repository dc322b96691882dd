#define _GNU_SOURCE
#include "submission.h"
#include "image.h"
#include "lookup.h"
#include "plugin.h"
#include "shared/rules.h"

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
static int ask(const struct lc_question *question, bool *answered, struct lc_error *error)
{
	struct lc_error doubt;
	char line[sizeof(doubt.text) + 64];

	switch (lc_look_up(question, LOOKUP_MILLIS, &doubt)) {
	case LC_REFUSED:
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

/* Whether the site's rules are here, too. The launcher's decide. */
static bool has_rules(void)
{
	return access(plugin_rules_path(), F_OK) == 0;
}

/* The image of a request, or with `mounted` one that it mounts. */
static int ask_of_image(const struct lc_request *request, const char *image, bool mounted,
			bool *answered, struct lc_error *error)
{
	char act[LC_IMAGE_MAX + 32], option[LC_IMAGE_MAX + 16];
	const char *devices = mounted ? NULL : request->texts[LC_DEVICE];
	struct lc_question question = {
	    .words = {COMMAND, "inspect", "--", image}, .act = act, .of_rules = has_rules()};
	size_t count = 0;

	snprintf(act, sizeof(act), "look up image \"%s\"", image);
	if (question.of_rules) {
		snprintf(option, sizeof(option), "--image=%s", image);
		question.words[(count = 1)] = "policy";
		question.words[++count] = "early";
		question.words[++count] = "--file";
		question.words[++count] = plugin_rules_path();
		question.words[++count] = option;
		if (request->root)
			question.words[++count] = "--root";
		if (request->writable)
			question.words[++count] = "--writable";
		if (devices != NULL)
			question.words[++count] = "--device";
		if (devices != NULL)
			question.words[++count] = devices;
	}
	return ask(&question, answered, error);
}

static int ask_of_images(const struct lc_request *request, struct lc_error *error)
{
	bool answered = true;
	int result = request->image != NULL
			 ? ask_of_image(request, request->image, false, &answered, error)
			 : 0;

	for (size_t i = 0; result == 0 && answered && i < request->mount_count; i++)
		if (request->mounts[i].image)
			result = ask_of_image(request, request->mounts[i].source, true, &answered,
					      error);
	return result;
}

/* A task on the host, as rules call it. */
static int ask_of_host(const char *task, struct lc_error *error)
{
	bool answered = true;
	struct lc_question question = {
	    .words = {COMMAND, "policy", "early", "--file", plugin_rules_path(), "--host", task},
	    .act = "ask the site's rules",
	    .of_rules = true};

	return ask(&question, &answered, error);
}

int submission_check(spank_context_t context, const struct lc_request *request, bool host,
		     bool batch_inside, struct lc_error *error)
{
	static bool checked; /* once for all components of a heterogeneous job */
	bool wanted = is_wanted_by_site(context);
	bool contained = lc_request_has_container(request);

	/* Root has no containers: who is root submits for others, whose key this is not. */
	if (!submission_makes_job(context) || getuid() == 0 || checked || (!contained && !host))
		return 0;
	if (plugin_read_switch("SLURM_CH_CHECK", &wanted, error) < 0)
		return -1;
	if (!wanted)
		return 0;
	checked = true;
	if (contained && ask_of_images(request, error) < 0)
		return -1;
	if (!lc_rules_place_tasks(plugin_rules_path()))
		return 0;
	/* Where the image is the site's, so is where the script runs. */
	if (submission_is_batch(context) && !batch_inside && (host || request->image != NULL) &&
	    ask_of_host("batch", error) < 0)
		return -1;
	return host ? ask_of_host("step", error) : 0;
}
