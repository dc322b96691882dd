#define _GNU_SOURCE
#include "plugin.h"
#include "shared/printable.h"
#include "shared/rules.h"

#include <limits.h>
#include <slurm/spank.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *socket_path = "/run/layercake/launcher.sock";
static const char *rules_path = LC_RULES;
static char run_directory[PATH_MAX] = "/run/layercake";
static enum plugin_check check = CHECK_SBATCH;

static void take_socket(const char *path)
{
	socket_path = path;
	snprintf(run_directory, sizeof(run_directory), "%.*s", (int)(strrchr(path, '/') - path),
		 path);
}

static bool take_check(const char *word)
{
	static const char *const words[] = {
	    [CHECK_SBATCH] = "sbatch", [CHECK_ALL] = "all", [CHECK_NO] = "no"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i]) == 0) {
			check = (enum plugin_check)i;
			return true;
		}
	return false;
}

int plugin_read_arguments(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "socket=/", 8) == 0) {
			take_socket(argv[i] + strlen("socket="));
		} else if (strncmp(argv[i], "policy=/", 8) == 0) {
			rules_path = argv[i] + strlen("policy=");
		} else if (strncmp(argv[i], "check=", 6) != 0 || !take_check(argv[i] + 6)) {
			slurm_error("layercake: unknown argument \"%s\" in plugstack.conf "
				    "(known: socket=PATH, policy=PATH, check=sbatch|all|no)",
				    argv[i]);
			return -1;
		}
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

const char *plugin_rules_path(void)
{
	return rules_path;
}

enum plugin_check plugin_check(void)
{
	return check;
}

int plugin_read_switch(const char *name, bool *on, struct lc_error *error)
{
	const char *value = getenv(name);

	if (value == NULL || value[0] == '\0')
		return 0;
	if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
		return lc_fail(error, EXIT_REQUEST, "cannot use %s=%.80s: it is 1 or 0", name,
			       value);
	*on = value[0] == '1';
	return 0;
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
