/*
 * What sshd's ForceCommand runs, as the user: puts the session into the container of the job that
 * pam_slurm_adopt has picked, then becomes what the user asked for.
 *
 *   ssh-entry [--containers-only] [RUN_DIRECTORY]
 *
 * Sessions of a job without container get the host's shell, or with --containers-only nothing.
 *
 * Nothing is written to a session without a terminal but a reason to refuse it: scp, rsync and
 * editors speak their own protocols there.
 */
#define _GNU_SOURCE
#include "node.h"
#include "shared/ask.h"
#include "shared/enter.h"
#include "shared/note.h"
#include "shared/printable.h"
#include "shared/rules.h"
#include "transfer.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *line)
{
	char text[2200];

	snprintf(text, sizeof(text), "%s", line);
	lc_make_printable(text);
	fprintf(stderr, "layercake: %s\n", text);
}

_Noreturn static void refuse(const struct lc_error *error)
{
	say(error->text);
	exit(error->code);
}

static void show_progress(const char *line, void *context)
{
	(void)context;
	if (isatty(STDERR_FILENO))
		say(line);
}

/* --- the way in --- */

/* Returns whether there is a container; ends the session when that cannot be told. */
static bool ask(const char *run_directory, struct lc_container *container)
{
	uint32_t job = lc_session_job();
	bool contained = lc_find_note(run_directory, job, getuid()) != LC_NO_NOTE ||
			 lc_rules_place_tasks(LC_RULES);
	char path[256];
	struct lc_error error;

	if (lc_socket_path(run_directory, path, sizeof(path)) == NULL) {
		lc_fail(&error, EXIT_MISCONFIGURED, "the run directory \"%s\" has too long a name",
			run_directory);
		refuse(&error);
	}
	int result =
	    lc_ask_for_session(path, job, contained, show_progress, NULL, container, &error);
	if (result < 0 && (error.code != EXIT_UNAVAILABLE || contained))
		refuse(&error);
	return result == 0;
}

_Noreturn static void refuse_host(void)
{
	struct lc_error error;

	lc_fail(
	    &error, EXIT_PERMISSION,
	    "your job has no container on this node, and ssh is for containers only here (submit "
	    "with --ch-image, or use srun)");
	refuse(&error);
}

/* A session whose home is not in the container stays in "/". */
static void go_home(void)
{
	const char *home = getenv("HOME");

	if (home == NULL || chdir(home) < 0)
		return;
}

static void enter(struct lc_container *container)
{
	struct lc_error error;

	if (lc_enter(container, &error) < 0)
		refuse(&error);
	go_home();
	lc_apply_environment(container, &lc_own_environment, NULL);
	lc_container_clear(container);
}

/* --- what the user asked for --- */

/* The user's shell, if it is there, else the one that is nearly everywhere. */
static const char *find_shell(const char *preferred)
{
	const char *shell = preferred != NULL && preferred[0] == '/' ? preferred : "/bin/sh";

	if (access(shell, X_OK) < 0)
		shell = "/bin/sh";
	setenv("SHELL", shell, 1);
	return shell;
}

_Noreturn static void run_shell(const char *shell, const char *command)
{
	const char *name = strrchr(shell, '/') + 1;
	char login_name[256];
	struct lc_error error;

	snprintf(login_name, sizeof(login_name), "-%s", name);
	if (command == NULL)
		execl(shell, login_name, (char *)NULL);
	else
		execl(shell, name, "-c", command, (char *)NULL);
	lc_fail(&error, errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE,
		"cannot start \"%s\" in the session: %s (an image needs a shell for ssh; srun does "
		"without)",
		shell, strerror(errno));
	refuse(&error);
}

_Noreturn static void run_sftp(const struct lc_transfer *host, const char *command)
{
	struct lc_error error;

	lc_sftp_exec(host, command);
	lc_fail(&error, EXIT_MISCONFIGURED,
		"cannot start an sftp server: neither the image's nor the node's runs: %s (tell "
		"the site: install openssh-sftp-server)",
		strerror(errno));
	refuse(&error);
}

_Noreturn static void run_transfer(const struct lc_transfer *host, enum lc_program program,
				   const char *shell, const char *command)
{
	static char script[131072]; /* what execve(2) takes as one argument */
	const char *text = lc_transfer_script(host, program, command, script, sizeof(script));

	if (text != command) /* the user's shell may not know what a function is */
		shell = "/bin/sh";
	if (text == NULL)
		text = command;
	if (access(shell, X_OK) < 0)
		lc_transfer_shell_exec(host, text);
	run_shell(shell, text);
}

int main(int argc, char **argv)
{
	bool containers_only = argc > 1 && strcmp(argv[1], "--containers-only") == 0;
	const char *given = argv[containers_only ? 2 : 1]; /* argv ends with a NULL */
	const char *run_directory = given != NULL ? given : LC_RUN_DIRECTORY;
	const char *command = getenv("SSH_ORIGINAL_COMMAND");
	const struct passwd *user = getpwuid(getuid());
	const char *shell = user != NULL ? user->pw_shell : getenv("SHELL");
	enum lc_program program = command != NULL ? lc_transfer_of(command) : LC_NO_TRANSFER;
	struct lc_container container;
	struct lc_transfer host = LC_TRANSFER_NONE;

	/* A session of sshd without ForceCommand does not have it either. */
	unsetenv("SSH_ORIGINAL_COMMAND");
	if (ask(run_directory, &container)) {
		host = lc_transfer_open(program);
		enter(&container);
	} else if (containers_only) {
		refuse_host();
	}
	if (program == LC_SFTP)
		run_sftp(&host, command);
	shell = find_shell(shell);
	if (program != LC_NO_TRANSFER)
		run_transfer(&host, program, shell, command);
	run_shell(shell, command);
}
