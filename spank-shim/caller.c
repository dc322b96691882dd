#define _GNU_SOURCE
#include "caller.h"
#include "directory.h"

#include <pwd.h>
#include <slurm/spank.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct caller *caller_find(void)
{
	static struct caller found;
	static bool asked_before;
	const struct passwd *user;
	struct lc_error error;

	if (asked_before)
		return &found;
	asked_before = true;
	user = getpwuid(getuid());
	found.home = user != NULL ? strdup(user->pw_dir) : NULL;
	found.user = user != NULL ? strdup(user->pw_name) : NULL;
	found.has_directory = lc_find_directory(found.home, found.directory, &error) == 0;
	return &found;
}

const struct lc_words *caller_words(void)
{
	static struct lc_words words;
	const struct caller *caller = caller_find();
	const char *home = getenv("HOME"), *submit_directory = getenv("SLURM_SUBMIT_DIR");

	words.home = home != NULL ? home : caller->home;
	words.user = caller->user;
	words.directory = caller->has_directory ? caller->directory : NULL;
	/* sbatch and salloc make a new job, whatever job they are called from. */
	words.submit_directory = spank_context() == S_CTX_LOCAL && submit_directory != NULL
				     ? submit_directory
				     : words.directory;
	return &words;
}
