#define _GNU_SOURCE
#include "plugin.h"
#include "shared/printable.h"

#include <limits.h>
#include <slurm/spank.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *socket_path = "/run/layercake/launcher.sock";
static char run_directory[PATH_MAX] = "/run/layercake";

int plugin_read_arguments(int argc, char **argv)
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

const char *plugin_socket_path(void)
{
	return socket_path;
}

const char *plugin_run_directory(void)
{
	return run_directory;
}

void plugin_say(const char *line)
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
