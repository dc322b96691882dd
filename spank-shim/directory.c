#define _GNU_SOURCE
#include "directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool lc_is_in(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	if (strcmp(directory, "/") == 0)
		return true;
	return strncmp(path, directory, length) == 0 &&
	       (path[length] == '/' || path[length] == '\0');
}

bool lc_find_mount_point(const char *directory, char top[PATH_MAX])
{
	char above[PATH_MAX];
	struct stat here, there;

	if (strlen(directory) >= PATH_MAX || stat(directory, &here) < 0)
		return false;
	strcpy(top, directory);
	for (;;) {
		char *name = strrchr(strcpy(above, top), '/');
		if (name == NULL || above[1] == '\0')
			return false;
		name[name == above ? 1 : 0] = '\0';
		if (stat(above, &there) < 0 || there.st_dev != here.st_dev)
			return true;
		strcpy(top, above);
	}
}

static void name_by_home(const char *home, char directory[PATH_MAX])
{
	char named[PATH_MAX], *resolved = realpath(home, NULL);
	size_t length = resolved != NULL ? strlen(resolved) : 0, home_length = strlen(home);

	while (home_length > 0 && home[home_length - 1] == '/')
		home_length--;
	/* A home that is "/" is nobody's. */
	if (length > 1 && lc_is_in(directory, resolved) &&
	    snprintf(named, sizeof(named), "%.*s%s", (int)home_length, home, directory + length) <
		(int)sizeof(named))
		strcpy(directory, named);
	free(resolved);
}

int lc_find_directory(const char *home, char directory[PATH_MAX], struct lc_error *error)
{
	if (getcwd(directory, PATH_MAX) == NULL)
		return lc_fail(error, EXIT_REQUEST,
			       "cannot start in the current directory: %s (change to one that is "
			       "there)",
			       strerror(errno));
	if (home != NULL && home[0] == '/' && !lc_is_in(directory, home))
		name_by_home(home, directory);
	return 0;
}
