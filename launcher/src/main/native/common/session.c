#define _GNU_SOURCE
#include "session.h"

#include <dirent.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void start_own_session(void)
{
	sigset_t none;

	setsid();
	umask(022);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* By the system call: glibc has close_range(2) since 2.34, Linux since 5.9. */
int close_from(int first)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return 0;
#endif
	return close_listed_from(first);
}

int close_listed_from(int first)
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
