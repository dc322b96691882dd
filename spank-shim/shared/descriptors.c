#define _GNU_SOURCE
#include "descriptors.h"

#include <dirent.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* By the system call: glibc has close_range(2) since 2.34, Linux since 5.9. */
int lc_close_from(int first)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return 0;
#endif
	return lc_close_listed_from(first);
}

int lc_close_listed_from(int first)
{
	DIR *list = opendir("/proc/self/fd");
	const struct dirent *entry;

	if (list == NULL)
		return -1;
	while ((entry = readdir(list)) != NULL) {
		int fd = atoi(entry->d_name);
		if (fd >= first && fd != dirfd(list))
			close(fd);
	}
	return closedir(list);
}
