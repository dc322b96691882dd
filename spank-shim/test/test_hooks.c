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
static const char *spec; /* of SLURM_LAYERCAKE_SPEC; NULL: not set */
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
	*va_arg(arguments, uint32_t *) = item == S_JOB_ID ? 42 : 0;
	va_end(arguments);
	return ESPANK_SUCCESS;
}

spank_err_t spank_getenv(spank_t spank, const char *name, char *value, int size)
{
	(void)spank;
	if (strcmp(name, "SLURM_LAYERCAKE_SPEC") != 0 || spec == NULL)
		return ESPANK_ENV_NOEXIST;
	snprintf(value, (size_t)size, "%s", spec);
	return ESPANK_SUCCESS;
}

int slurm_spank_init(spank_t spank, int argc, char **argv);
int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv);
int slurm_spank_task_init(spank_t spank, int argc, char **argv);
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
	char *arguments[] = {socket_argument};
	ssize_t length;

	if (pipe(pipes) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(pipes[1], STDERR_FILENO);
		slurm_spank_init(NULL, 1, arguments);
		_exit(hook(NULL, 1, arguments) == 0 ? ON_HOST : FAILED_TO_END);
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

int main(void)
{
	if (!CHECK(mkdtemp(run) != NULL))
		return summary();
	snprintf(contained, sizeof(contained), "%s/contained", run);
	snprintf(socket_argument, sizeof(socket_argument), "socket=%s/launcher.sock", run);
	test_a_reference_to_a_registry_ends_the_command();
	test_a_task_without_container_runs_on_the_host();
	test_a_task_of_a_job_with_a_note_is_not_on_the_host();
	test_a_note_that_cannot_be_looked_up_ends_the_task();
	test_a_task_that_cannot_be_told_ends();
	test_an_epilog_takes_the_note_away_when_there_is_no_launcher_to_do_it();
	rmdir(contained);
	rmdir(run);
	return summary();
}
