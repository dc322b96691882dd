#define _GNU_SOURCE
#include "rules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BYTES_MAX = 1 << 20 }; /* as PolicyText has it */

#define BLANKS " \t\r\v\f"

/* Whether the text begins with this word, which blanks end. */
static bool is_word(const char *text, const char *word)
{
	return strcspn(text, BLANKS "\n") == strlen(word) && strncmp(text, word, strlen(word)) == 0;
}

/*
 * Rules that allow or deny are about containers, unless they name tasks on the host. All else is a
 * default, or it is not understood, and the launcher says so.
 */
static bool places_tasks(const char *line)
{
	line += strspn(line, BLANKS);
	if (*line == '\0' || *line == '\n' || *line == '#')
		return false;
	if (!is_word(line, "allow") && !is_word(line, "deny"))
		return true;
	while (*(line += strcspn(line, BLANKS)) != '\0') {
		line += strspn(line, BLANKS);
		if (strncmp(line, "host=", 5) == 0 || strncmp(line, "host!=", 6) == 0)
			return true;
	}
	return false;
}

static bool any_places_tasks(FILE *rules)
{
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (!found && getline(&line, &size, rules) >= 0)
		found = places_tasks(line);
	found |= ferror(rules) != 0;
	free(line);
	return found;
}

bool lc_rules_place_tasks(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;
	FILE *rules;

	if (fd < 0)
		return errno != ENOENT;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > BYTES_MAX ||
	    (rules = fdopen(fd, "r")) == NULL) {
		close(fd);
		return true;
	}
	bool found = any_places_tasks(rules);
	fclose(rules);
	return found;
}
