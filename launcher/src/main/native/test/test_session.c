/* That nothing of the launcher's stays open, also where the kernel has no call for that. */
#define _GNU_SOURCE
#include "common/session.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

typedef int closer(int first);

static int count_open(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int try(const char *name, closer *close_all)
{
	for (int fd = 3; fd < 300; fd++)
		dup2(0, fd);
	if (close_all(7) == 0 && count_open() == 7)
		return 0;
	printf("FAILED: %s leaves %d open\n", name, count_open());
	return 1;
}

int main(void)
{
	int failed = try("close_from", close_from) + try("close_listed_from", close_listed_from);

	printf("%d failed\n", failed);
	return failed;
}
