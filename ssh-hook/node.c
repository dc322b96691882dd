#define _GNU_SOURCE
#include "node.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint32_t lc_job_of(const char *value)
{
	char *end;

	if (value == NULL || value[0] < '1' || value[0] > '9')
		return 0;
	errno = 0;
	unsigned long number = strtoul(value, &end, 10);
	return errno == 0 && *end == '\0' && number < UINT32_MAX ? (uint32_t)number : 0;
}

const char *lc_socket_path(const char *run_directory, char *path, size_t size)
{
	int length = snprintf(path, size, "%s/launcher.sock", run_directory);

	return length > 0 && (size_t)length < size ? path : NULL;
}

/* Only root may list the directory. */
static bool any_job_has_container(const char *directory, uint32_t uid)
{
	char suffix[16];
	bool found = false;
	DIR *markers = opendir(directory);
	struct dirent *marker;

	if (markers == NULL)
		return errno != ENOENT;
	snprintf(suffix, sizeof(suffix), ".%u", uid);
	while (!found && (marker = readdir(markers)) != NULL) {
		const char *dot = strrchr(marker->d_name, '.');
		found = dot != NULL && strcmp(dot, suffix) == 0;
	}
	closedir(markers);
	return found;
}

bool lc_has_container(const char *run_directory, uint32_t job, uint32_t uid)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s/contained", run_directory);

	if (length < 0 || (size_t)length + 24 > sizeof(path))
		return true;
	if (job == 0)
		return any_job_has_container(path, uid);
	snprintf(path + length, sizeof(path) - (size_t)length, "/%u.%u", job, uid);
	return access(path, F_OK) == 0 || errno != ENOENT;
}
