/*
 * What a task executes whose image's entry point is to run its command: becomes the entry point,
 * with the command behind it. The plugin cannot do that, since slurmstepd's list of arguments has
 * no room for more. Static, because it runs inside any image.
 *
 *   LAYERCAKE_ENTRYPOINT  the entry point's words, written as in a spec, with spaces between
 *   LAYERCAKE_COMMAND     the command, whose place the name of this program has; goes no further
 */
#define _GNU_SOURCE
#include "shared/error.h"
#include "shared/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One task of a node says why they all fail. */
_Noreturn static void end(const struct lc_error *error)
{
	const char *task = getenv("SLURM_LOCALID");

	if (task == NULL || strcmp(task, "0") == 0)
		dprintf(STDERR_FILENO, "layercake: %s\n", error->text);
	_exit(error->code);
}

_Noreturn static void end_unprepared(void)
{
	struct lc_error error;

	lc_fail(&error, EXIT_INTERNAL,
		"cannot run the image's entry point: what the plugin has left for it is gone (do "
		"not change LAYERCAKE_ENTRYPOINT)");
	end(&error);
}

static size_t count_words(const char *text)
{
	size_t count = 1;

	for (; *text != '\0'; text++)
		count += *text == ' ';
	return count;
}

static void parse_words(const char *text, char **words)
{
	for (;; text++) {
		size_t length = strcspn(text, " ");
		*words = lc_spec_parse_value(text, length);
		if (*words++ == NULL)
			end_unprepared();
		text += length;
		if (*text == '\0')
			return;
	}
}

/* The descriptor that this program was started from. */
static void close_self(const char *name)
{
	int fd;

	if (sscanf(name, "/proc/self/fd/%d", &fd) == 1)
		close(fd);
}

int main(int argc, char **argv)
{
	const char *text = getenv("LAYERCAKE_ENTRYPOINT");
	char *command = getenv("LAYERCAKE_COMMAND");
	struct lc_error error;

	if (argc < 1 || text == NULL || command == NULL)
		end_unprepared();
	size_t count = count_words(text);
	char **words = calloc(count + (size_t)argc + 1, sizeof(*words));
	if (words == NULL)
		end_unprepared();
	parse_words(text, words);
	words[count] = command;
	memcpy(words + count + 1, argv + 1, (size_t)argc * sizeof(*argv)); /* with the NULL */
	close_self(argv[0]);
	unsetenv("LAYERCAKE_COMMAND");
	execvp(words[0], words);
	lc_fail(&error, errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE,
		"cannot run the image's entry point \"%.1000s\": %s (leave out --ch-entrypoint, or "
		"push an image that has it)",
		words[0], strerror(errno));
	end(&error);
}
