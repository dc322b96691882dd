/*
 * The first and only program of a container: says that the container is complete, then does nothing
 * for ever, once the launcher has noted it. Static, because it runs inside any image, also one
 * without a C library.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the launcher has noted us. One that died before ends the pipe: nobody would find us. */
static bool noted(void)
{
	struct stat status;
	char byte;
	ssize_t n;

	if (fstat(STDIN_FILENO, &status) < 0 || !S_ISFIFO(status.st_mode))
		return true; /* started by hand */
	do
		n = read(STDIN_FILENO, &byte, 1);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

int main(void)
{
	static const char ready[] = "ready\n";

	prctl(PR_SET_NAME, "layercake-pause"); /* or ps(1) would show the descriptor's number */
	if (write(STDOUT_FILENO, ready, sizeof(ready) - 1) != sizeof(ready) - 1)
		return 1;
	if (!noted())
		return 0;
	int null = open("/dev/null", O_RDWR);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			close(fd);
	/* The descriptor this program was started from keeps a file system of the host busy. */
	for (int fd = STDERR_FILENO + 1; fd < 32; fd++)
		close(fd);
	for (;;)
		pause();
}
