#define _GNU_SOURCE
#include "node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number that a text begins with, when a slash ends it; else 0. */
static uint32_t parse_job(const char *text)
{
	char *rest;

	if (text[0] < '1' || text[0] > '9')
		return 0;
	errno = 0;
	unsigned long number = strtoul(text, &rest, 10);
	return errno == 0 && *rest == '/' && number < UINT32_MAX ? (uint32_t)number : 0;
}

uint32_t lc_job_of_cgroups(FILE *cgroups)
{
	/* .../job_42/step_extern with cgroup v1, .../job_42/step_extern/user/task_special with v2
	 */
	static const char before[] = "/job_";
	uint32_t job = 0;
	char *line = NULL;
	size_t size = 0;

	while (job == 0 && getline(&line, &size, cgroups) > 0) {
		const char *found = strstr(line, before);
		if (found != NULL)
			job = parse_job(found + sizeof(before) - 1);
	}
	free(line);
	return job;
}

uint32_t lc_session_job(void)
{
	FILE *cgroups = fopen("/proc/self/cgroup", "re");
	uint32_t job = 0;

	if (cgroups != NULL) {
		job = lc_job_of_cgroups(cgroups);
		fclose(cgroups);
	}
	return job;
}
