/*
 * Where task_init puts a task, that it ends one of which it cannot tell, and what an epilog leaves:
 * plays slurmstepd, whose functions the plugin gets from the program that loads it.
 */
#define _GNU_SOURCE
#include "shared/note.h"
#include "shared/test/check.h"

#include <signal.h>
#include <slurm/slurm.h>
#include <slurm/spank.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ON_HOST = 0, MISSING = 66, INTERNAL = 70, UNREACHABLE = 69, FAILED_TO_END = 1 };

static char run[] = "/tmp/layercake-test.XXXXXX", contained[64], socket_argument[128];
static char rules[64], rules_argument[128];
static uint32_t step;	  /* the task's */
static const char *batch; /* of SLURM_LAYERCAKE_BATCH */
static const char *spec;  /* of SLURM_LAYERCAKE_SPEC; NULL: not set */
static spank_item_t missing = (spank_item_t)-1;
static spank_context_t context = S_CTX_REMOTE;
static char said[4096];

spank_context_t spank_context(void)
{
	return context;
}

spank_err_t spank_option_register(spank_t spank, struct spank_option *option)
{
	(void)spank;
	(void)option;
	return ESPANK_SUCCESS;
}

spank_err_t spank_get_item(spank_t spank, spank_item_t item, ...)
{
	va_list arguments;

	(void)spank;
	if (item == missing)
		return ESPANK_NOT_AVAIL;
	va_start(arguments, item);
	*va_arg(arguments, uint32_t *) = item == S_JOB_ID ? 42 : item == S_JOB_STEPID ? step : 0;
	va_end(arguments);
	return ESPANK_SUCCESS;
}

spank_err_t spank_getenv(spank_t spank, const char *name, char *value, int size)
{
	const char *found = strcmp(name, "SLURM_LAYERCAKE_SPEC") == 0	 ? spec
			    : strcmp(name, "SLURM_LAYERCAKE_BATCH") == 0 ? batch
									 : NULL;

	(void)spank;
	if (found == NULL)
		return ESPANK_ENV_NOEXIST;
	snprintf(value, (size_t)size, "%s", found);
	return ESPANK_SUCCESS;
}

int slurm_spank_init(spank_t spank, int argc, char **argv);
int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv);
int slurm_spank_task_init(spank_t spank, int argc, char **argv);
int slurm_spank_job_prolog(spank_t spank, int argc, char **argv);
int slurm_spank_job_epilog(spank_t spank, int argc, char **argv);

/* A launcher that has one answer to everything; to be ended. */
static pid_t start_launcher(const char *answer, size_t size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[256];

	strcpy(address.sun_path, socket_argument + strlen("socket="));
	CHECK(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	      listen(listener, 8) == 0);
	pid_t pid = fork();
	while (pid == 0) {
		int fd = accept(listener, NULL, NULL);
		if (read(fd, request, sizeof(request)) < 7 ||
		    write(fd, answer, size) != (ssize_t)size)
			_exit(1);
		close(fd);
	}
	close(listener);
	return pid;
}

static void end_launcher(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(socket_argument + strlen("socket="));
}

/* Returns the exit code of what ended in the hook, ON_HOST or FAILED_TO_END. */
static int call(int (*hook)(spank_t, int, char **))
{
	int pipes[2], status;
	char *arguments[] = {socket_argument, rules_argument};
	ssize_t length;

	if (pipe(pipes) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(pipes[1], STDERR_FILENO);
		slurm_spank_init(NULL, 2, arguments);
		_exit(hook(NULL, 2, arguments) == 0 ? ON_HOST : FAILED_TO_END);
	}
	close(pipes[1]);
	memset(said, 0, sizeof(said));
	for (size_t at = 0; (length = read(pipes[0], said + at, sizeof(said) - 1 - at)) > 0;)
		at += (size_t)length;
	close(pipes[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int start_task(void)
{
	return call(slurm_spank_task_init);
}

static void test_a_reference_to_a_registry_ends_the_command(void)
{
	static const spank_context_t commands[] = {S_CTX_LOCAL, S_CTX_ALLOCATOR};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		context = commands[i];
		setenv("SLURM_CH_IMAGE", "docker://a.b/x:1", 1);
		CHECK(call(slurm_spank_init_post_opt) == MISSING);
		CHECK(strstr(said, "layercake push docker://a.b/x:1;") != NULL);
		setenv("SLURM_CH_IMAGE", "a b", 1);
		CHECK(call(slurm_spank_init_post_opt) == FAILED_TO_END);
		unsetenv("SLURM_CH_IMAGE");
	}
	context = S_CTX_REMOTE;
}

static void test_a_task_without_container_runs_on_the_host(void)
{
	CHECK(start_task() == ON_HOST && said[0] == '\0');
	spec = "";
	CHECK(start_task() == ON_HOST);
	spec = NULL;
}

static void test_a_task_of_a_job_with_a_note_is_not_on_the_host(void)
{
	pid_t launcher = start_launcher("\0\0\0\x06\x4f\x45\0\2no", 10);

	CHECK(lc_leave_note(run, 42, getuid(), "image=deb:12") == 0);
	CHECK(start_task() == UNREACHABLE && strcmp(said, "layercake: no\n") == 0);
	spec = ""; /* --ch-image=none */
	CHECK(start_task() == ON_HOST);
	spec = NULL;
	end_launcher(launcher);
}

static void test_a_note_that_cannot_be_looked_up_ends_the_task(void)
{
	char aside[80];

	snprintf(aside, sizeof(aside), "%s.aside", contained);
	CHECK(rename(contained, aside) == 0 && symlink("contained", contained) == 0);
	CHECK(start_task() == INTERNAL);
	CHECK(strstr(said, "cannot tell whether job 42 has a container") != NULL);
	CHECK(strstr(said, contained) != NULL);
	unlink(contained);
	CHECK(rename(aside, contained) == 0);
}

static void test_a_task_that_cannot_be_told_ends(void)
{
	static const spank_item_t items[] = {S_JOB_ID, S_JOB_STEPID, S_TASK_ID, S_TASK_GLOBAL_ID};

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		missing = items[i];
		CHECK(start_task() == INTERNAL);
		CHECK(strstr(said, "cannot tell whether this task belongs") != NULL);
		spec = "image=deb:12";
		CHECK(start_task() == INTERNAL);
		spec = "";
		CHECK(start_task() == ON_HOST);
		spec = NULL;
	}
	missing = (spank_item_t)-1;
}

static void test_an_epilog_takes_the_note_away_when_there_is_no_launcher_to_do_it(void)
{
	char uid[16], *arguments[] = {socket_argument};
	pid_t launcher = start_launcher("\0\0\0\1\x40", 5);

	snprintf(uid, sizeof(uid), "%u", getuid());
	setenv("SLURM_JOB_ID", "42", 1);
	setenv("SLURM_JOB_UID", uid, 1);
	CHECK(lc_leave_note(run, 42, getuid(), "image=deb:12") == 0);
	CHECK(slurm_spank_job_epilog(NULL, 1, arguments) == 0);
	CHECK(lc_find_note(run, 42, getuid()) == LC_NOTE_OF_JOB);
	end_launcher(launcher);
	CHECK(slurm_spank_job_epilog(NULL, 1, arguments) == 0);
	CHECK(lc_find_note(run, 42, getuid()) == LC_NO_NOTE);
}

/* Writes the site's rules; NULL: there are none. */
static void set_rules(const char *text)
{
	FILE *file = text != NULL ? fopen(rules, "w") : NULL;

	if (text == NULL)
		unlink(rules);
	else
		CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void test_a_prolog_notes_a_job_without_image_where_rules_place_tasks(void)
{
	setenv("SLURM_JOB_ID", "42", 1);
	setenv("SLURM_JOB_UID", "1001", 1);
	CHECK(call(slurm_spank_job_prolog) == ON_HOST);
	CHECK(lc_find_note(run, 42, 1001) == LC_NO_NOTE);
	set_rules("deny root=yes\n");
	CHECK(call(slurm_spank_job_prolog) == ON_HOST);
	CHECK(lc_find_note(run, 42, 1001) == LC_NO_NOTE);
	set_rules("default image=site/x\n");
	setenv("SPANK_LAYERCAKE_SPEC", "none", 1);
	CHECK(call(slurm_spank_job_prolog) == ON_HOST);
	CHECK(lc_find_note(run, 42, 1001) == LC_NO_NOTE);
	unsetenv("SPANK_LAYERCAKE_SPEC");
	CHECK(call(slurm_spank_job_prolog) == ON_HOST);
	CHECK(lc_find_note(run, 42, 1001) == LC_NOTE_OF_JOB);
	lc_remove_note(run, 42, 1001);
	setenv("SLURM_JOB_UID", "0", 1);
	CHECK(call(slurm_spank_job_prolog) == ON_HOST);
	CHECK(lc_find_note(run, 42, 0) == LC_NO_NOTE);
	set_rules(NULL);
}

/* Of tasks with a step id and a spec, or none: whether the launcher has to be asked. */
static bool asks(uint32_t id, const char *own)
{
	int code;

	step = id;
	spec = own;
	code = start_task();
	step = 0;
	spec = NULL;
	CHECK(code == ON_HOST || code == UNREACHABLE);
	return code == UNREACHABLE;
}

static void test_a_task_that_wants_the_host_asks_where_rules_place_tasks(void)
{
	static const char refuses[] = "\0\0\0\x06\x4f\x45\0\2no", allows[] = "\0\0\0\1\x43";
	static const uint32_t steps[] = {0, SLURM_BATCH_SCRIPT, SLURM_INTERACTIVE_STEP};
	pid_t launcher = start_launcher(refuses, sizeof(refuses) - 1);

	for (size_t i = 0; i < 3; i++) {
		set_rules("deny root=yes\n");
		CHECK(!asks(steps[i], "") && !asks(steps[i], NULL));
		set_rules("deny root=yes\ndeny host=*\n");
		CHECK(asks(steps[i], "") && asks(steps[i], NULL) && asks(steps[i], "image="));
	}
	CHECK(asks(SLURM_BATCH_SCRIPT, "image=deb:12"));
	batch = "1";
	CHECK(asks(SLURM_BATCH_SCRIPT, "image=deb:12"));
	end_launcher(launcher);
	launcher = start_launcher(allows, sizeof(allows) - 1);
	batch = NULL;
	for (size_t i = 0; i < 3; i++)
		CHECK(!asks(steps[i], "") && !asks(steps[i], NULL));
	CHECK(!asks(SLURM_BATCH_SCRIPT, "image=") && !asks(SLURM_INTERACTIVE_STEP, "image="));
	spec = "image=deb:12";
	CHECK(start_task() == INTERNAL); /* it is never sent to the host */
	spec = "image=";
	CHECK(start_task() == 64 && strstr(said, "no image is named") != NULL);
	batch = "1";
	step = SLURM_BATCH_SCRIPT;
	CHECK(start_task() == 64 && strstr(said, "no image is named") != NULL);
	spec = batch = NULL;
	step = 0;
	end_launcher(launcher);
	set_rules(NULL);
}

int main(void)
{
	/* Root's tasks are not the rules' business. */
	if (!CHECK(getuid() != 0 || setuid(1001) == 0) || !CHECK(mkdtemp(run) != NULL))
		return summary();
	snprintf(contained, sizeof(contained), "%s/contained", run);
	snprintf(socket_argument, sizeof(socket_argument), "socket=%s/launcher.sock", run);
	snprintf(rules, sizeof(rules), "%s/rules", run);
	snprintf(rules_argument, sizeof(rules_argument), "policy=%s", rules);
	test_a_reference_to_a_registry_ends_the_command();
	test_a_task_without_container_runs_on_the_host();
	test_a_task_of_a_job_with_a_note_is_not_on_the_host();
	test_a_note_that_cannot_be_looked_up_ends_the_task();
	test_a_task_that_cannot_be_told_ends();
	test_an_epilog_takes_the_note_away_when_there_is_no_launcher_to_do_it();
	test_a_prolog_notes_a_job_without_image_where_rules_place_tasks();
	test_a_task_that_wants_the_host_asks_where_rules_place_tasks();
	rmdir(contained);
	rmdir(run);
	return summary();
}
