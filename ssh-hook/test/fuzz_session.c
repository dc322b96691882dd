/*
 * What an ssh session says of itself: the cgroups that name its job, and the command, from which a
 * server's arguments and a script are made.
 */
#define _GNU_SOURCE
#include "node.h"
#include "shared/test/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Programs are not run. What they would be given is looked at. */
static int run_nothing(const char *path, char *const *arguments, char *const *environment);
static int run_nothing_opened(int program, char *const *arguments, char *const *environment);
#define execve run_nothing
#define fexecve run_nothing_opened
#include "transfer.c"
#undef execve
#undef fexecve

static const char *asked; /* the command */

static void check_arguments(char *const *arguments, size_t own)
{
	size_t count = 0;

	while (arguments[count] != NULL)
		count++;
	INSIST(count >= own && count < ARGUMENTS_MAX);
	for (size_t i = own; i < count; i++) {
		INSIST(arguments[i][0] != '\0' && strpbrk(arguments[i], " \t") == NULL);
		INSIST(strstr(asked, arguments[i]) != NULL);
	}
}

static int run_nothing(const char *path, char *const *arguments, char *const *environment)
{
	INSIST(path[0] == '/' && environment != NULL);
	check_arguments(arguments, 1);
	errno = ENOENT;
	return -1;
}

static int run_nothing_opened(int program, char *const *arguments, char *const *environment)
{
	INSIST(program >= 0 && environment != NULL);
	check_arguments(arguments, 4);
	errno = ENOENT;
	return -1;
}

static void check_cgroups(const uint8_t *data, size_t size)
{
	FILE *file = fmemopen((void *)(uintptr_t)data, size, "r");
	char place[32];

	if (file == NULL)
		return;
	uint32_t job = lc_job_of_cgroups(file);
	snprintf(place, sizeof(place), "/job_%u/", job);
	INSIST(job == 0 || memmem(data, size, place, strlen(place)) != NULL);
	fclose(file);
}

static void check_command(const char *command)
{
	static const struct lc_transfer none = {-1, -1, -1, -1};
	enum lc_program program = lc_transfer_of(command);
	size_t room = strlen(command) + 100;
	char *script = malloc(room), *small = malloc(room / 2);
	/* Any descriptors do. */
	struct lc_transfer host = {STDERR_FILENO, STDERR_FILENO, STDERR_FILENO, STDERR_FILENO};

	INSIST(script != NULL && small != NULL);
	if (program == LC_SCP || program == LC_RSYNC) {
		const char *text = lc_transfer_script(&host, program, command, script, room);
		INSIST(text == command ||
		       (text == script && strlen(text) > strlen(command) &&
			strcmp(text + strlen(text) - strlen(command), command) == 0));
		text = lc_transfer_script(&host, program, command, small, room / 2);
		INSIST(text == NULL || text == small || text == command);
		INSIST(lc_transfer_script(&none, program, command, script, room) == command);
	}
	asked = command;
	lc_sftp_exec(&host, command);
	INSIST(errno == ENOENT || errno == E2BIG);
	free(script);
	free(small);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {.at = data, .left = size};

	if (size > 0)
		check_cgroups(data, size);
	setenv("PATH", size % 2 == 0 ? "/nowhere" : "/usr/bin:/bin", 1);
	while (input.left > 0) {
		char *text = take_text(&input);
		check_command(text);
		free(text);
	}
	return 0;
}
