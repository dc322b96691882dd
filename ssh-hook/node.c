#define _GNU_SOURCE
#include "node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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
