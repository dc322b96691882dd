#define _GNU_SOURCE
#include "entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Becomes the entry point, and has the command behind it. */
#define PROGRAM "/usr/lib/layercake/entrypoint"

/* With --multi-prog slurmstepd has the arguments of tasks where no plugin reaches them. */
static bool is_list_of_programs(int count, char *const *arguments)
{
	const char *text = count > 1 ? arguments[1] : "";

	while (*text == '#' || *text == '\n') { /* comments */
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	size_t ranks = strspn(text, "0123456789-,*");
	return ranks > 0 && text[ranks + strspn(text + ranks, " \t")] != '\0' &&
	       strchr(" \t", text[ranks]) != NULL;
}

/* In the place of the command, which goes into a variable: the program, by a descriptor of it. */
static int replace_command(spank_t spank, char **command, struct lc_error *error)
{
	/* Open while it is in sight, and still so when slurmstepd executes it. */
	int fd = open(PROGRAM, O_RDONLY);
	char *name = NULL;

	if (fd < 0)
		return lc_fail(error, EXIT_MISCONFIGURED,
			       "cannot run the image's entry point: " PROGRAM
			       ": %s (tell the site)",
			       strerror(errno));
	if (asprintf(&name, "/proc/self/fd/%d", fd) < 0 ||
	    spank_setenv(spank, "LAYERCAKE_COMMAND", *command, 1) != ESPANK_SUCCESS)
		return lc_fail(error, EXIT_INTERNAL,
			       "cannot run the image's entry point: no memory");
	*command = name; /* slurmstepd frees nothing before it executes that */
	return 0;
}

int entry_prepare(spank_t spank, const struct lc_container *container, struct lc_error *error)
{
	const char *words = lc_container_find(container, "LAYERCAKE_ENTRYPOINT");
	char **arguments;
	int count;

	if (words == NULL)
		return 0;
	if (words[0] == '\0')
		return lc_fail(error, EXIT_REQUEST,
			       "cannot run the image's entry point: it is not a command, or one of "
			       "more than 8,192 characters (leave out --ch-entrypoint)");
	if (spank_get_item(spank, S_JOB_ARGV, &count, &arguments) != ESPANK_SUCCESS || count < 1)
		return lc_fail(error, EXIT_INTERNAL,
			       "cannot run the image's entry point: slurmstepd does not say what "
			       "the command is (tell the site)");
	if (is_list_of_programs(count, arguments))
		return lc_fail(error, EXIT_REQUEST,
			       "--ch-entrypoint cannot be used with --multi-prog (name the entry "
			       "point in the list of programs)");
	return replace_command(spank, &arguments[0], error);
}
