/* Becomes a process of a container as tasks and sessions do: enter HOLDER_PID COMMAND... */
#define _GNU_SOURCE
#include "shared/enter.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int open_namespace(const char *pid, const char *kind)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, kind);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int main(int argc, char **argv)
{
	char *nothing[] = {NULL};
	struct lc_error error = {.text = "usage: enter HOLDER_PID COMMAND..."};

	if (argc < 3)
		return fprintf(stderr, "%s\n", error.text), EXIT_REQUEST;
	const struct lc_container container = {
	    .user_namespace = open_namespace(argv[1], "user"),
	    .mount_namespace = open_namespace(argv[1], "mnt"),
	    .environment = nothing,
	};
	if (lc_enter(&container, &error) < 0)
		return fprintf(stderr, "%s\n", error.text), error.code;
	lc_apply_environment(&container, &lc_own_environment, NULL);
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return EXIT_NOT_FOUND;
}
