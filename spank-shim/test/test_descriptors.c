/* That nothing stays open, also where the kernel has no call for that. */
#define _GNU_SOURCE
#include "shared/descriptors.h"
#include "shared/test/check.h"

#include <fcntl.h>
#include <unistd.h>

typedef int closer(int first);

static int count_open(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void leaves_nothing_open(closer *close_all, const char *name)
{
	for (int fd = 3; fd < 300; fd++)
		dup2(0, fd);
	if (!EXPECT(close_all(7) == 0 && count_open() == 7, name))
		printf("  leaves %d open\n", count_open());
}

int main(void)
{
	leaves_nothing_open(lc_close_from, "lc_close_from");
	leaves_nothing_open(lc_close_listed_from, "lc_close_listed_from");
	return summary();
}
