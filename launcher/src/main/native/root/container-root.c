/*
 * container-root [RUN_DIRECTORY]: has another program of the user's read the files of the container
 * of the user's job on this node, as `layercake save` does.
 *
 * The container's root directory is descriptor 3 of this process, so that the other program finds
 * it at /proc/PID/fd/3. What is mounted in the container is not there: below each mount are the
 * image's own files. On stdout come the image's variables, NAME=VALUE with a NUL behind each and
 * one more at the end. It ends when its stdin does.
 *
 * Runs as the user, without any privilege: whoever may enter a container may do this.
 */
#define _GNU_SOURCE
#include "common/die.h"
#include "shared/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	ROOT_FD = 3,
	CALL_OPEN_TREE = 428, /* of every architecture but Alpha; glibc has it since 2.36 */
	CLONE_TREE = 1,	      /* OPEN_TREE_CLONE */
};

static void show_progress(const char *line, void *context)
{
	(void)context;
	fprintf(stderr, "layercake: %s\n", line);
}

static uint32_t job_id(void)
{
	const char *text = getenv("SLURM_JOB_ID");
	char *end;

	errno = 0;
	unsigned long job = text != NULL ? strtoul(text, &end, 10) : 0;
	if (text == NULL || errno != 0 || *end != '\0' || job == 0 || job >= UINT32_MAX)
		die(EXIT_REQUEST, "not in a job: SLURM_JOB_ID says none (run it in the batch "
				  "script, or by srun --ch-image=none)");
	return (uint32_t)job;
}

static void ask_for_container(const char *run_directory, struct lc_container *container)
{
	char path[256];
	struct lc_error error;

	if (lc_socket_path(run_directory, path, sizeof(path)) == NULL)
		die(EXIT_MISCONFIGURED, "the run directory \"%s\" has too long a name",
		    run_directory);
	int result =
	    lc_ask_for_session(path, job_id(), true, show_progress, NULL, container, &error);
	if (result < 0)
		die(error.code, "%s", error.text);
	if (result > 0)
		die(EXIT_MISSING, "your job has no container on this node");
}

static void enter(const struct lc_container *container)
{
	struct statvfs root;

	/* The user namespace first: it grants what joining the other one takes, setns(2). */
	if (setns(container->user_namespace, CLONE_NEWUSER) < 0 ||
	    setns(container->mount_namespace, CLONE_NEWNS) < 0 || statvfs("/", &root) < 0)
		die(EXIT_INTERNAL, "cannot enter the container: %s", strerror(errno));
	if (root.f_flag & ST_RDONLY)
		die(EXIT_REQUEST, "nothing can have changed in the container (start the job with "
				  "--ch-writable)");
}

/* Without the mounts below, which only a clone of this one mount leaves out. open_tree(2) */
static void open_root(void)
{
	int tree = (int)syscall(CALL_OPEN_TREE, AT_FDCWD, "/", CLONE_TREE | O_CLOEXEC);

	if (tree < 0 || dup2(tree, ROOT_FD) < 0)
		die(EXIT_INTERNAL, "cannot open the container's root directory: %s",
		    strerror(errno));
	/* Joining a user namespace closed /proc/PID to the user, proc(5). */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
		die(EXIT_INTERNAL, "cannot show the container's root directory: %s",
		    strerror(errno));
}

static void write_environment(char *const *environment)
{
	for (; *environment != NULL; environment++)
		fwrite(*environment, 1, strlen(*environment) + 1, stdout);
	fputc('\0', stdout);
	if (fflush(stdout) != 0)
		die(EXIT_INTERNAL, "cannot write the image's variables: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	struct lc_container container;
	char byte;

	if (argc > 2)
		die(EXIT_REQUEST, "usage: container-root [RUN_DIRECTORY]");
	ask_for_container(argc == 2 ? argv[1] : LC_RUN_DIRECTORY, &container);
	enter(&container);
	open_root();
	write_environment(container.environment);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}
