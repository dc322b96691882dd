/* How a holder becomes a job's process where libslurm is one of Slurm 25.11 or later. */
#define _GNU_SOURCE
#include "common/die.h"
#include "holder/adopt.h"
#include "shared/test/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NONE = 100, MOUNT, OTHER }; /* what was got, as exit codes */

static char spool[] = "/tmp/layercake-test.XXXXXX";

static int kind_of(int namespace)
{
	struct stat got, mine;

	if (namespace < 0)
		return NONE;
	if (fstat(namespace, &got) < 0 || stat("/proc/self/ns/mnt", &mine) < 0)
		return OTHER;
	return got.st_ino == mine.st_ino && got.st_dev == mine.st_dev ? MOUNT : OTHER;
}

/* The exit code of a holder that adopts itself; -1 when it has no end. */
static int adopt(uint32_t job, uid_t uid, const char *namespaces)
{
	int status = 0;

	fflush(stdout); /* the child's exit(3) would print it again */
	pid_t child = fork();

	if (child == 0) {
		alarm(10);
		setenv("NAMESPACES", namespaces, 1);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		_exit(kind_of(adopt_into_extern_step(job, uid, spool)));
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(int argc, char **argv)
{
	/* The dynamic linker looks at it once, before main. */
	if (argc > 1 && getenv("LD_LIBRARY_PATH") == NULL) {
		setenv("LD_LIBRARY_PATH", realpath(argv[1], NULL), 1);
		execv("/proc/self/exe", argv);
	}
	if (mkdtemp(spool) == NULL || chdir(spool) < 0)
		return 1;
	close(open("n1_42.4294967292", O_CREAT | O_WRONLY, 0600));
	EXPECT(adopt(42, 1001, "") == NONE, "a job without namespaces");
	EXPECT(adopt(42, 1001, "mount") == MOUNT, "a job with a mount namespace");
	EXPECT(adopt(42, 1001, "user mount") == MOUNT, "the mount namespace of two");
	EXPECT(adopt(42, 1001, "user") == NONE, "a namespace that is not of mounts");
	EXPECT(adopt(42, 1001, "fail") == EXIT_INTERNAL, "a slurmstepd that fails");
	EXPECT(adopt(42, 1002, "") == EXIT_PERMISSION, "another user's job");
	EXPECT(adopt(4, 1001, "") == EXIT_PERMISSION, "a job that is not here");
	unlink("n1_42.4294967292");
	rmdir(spool);
	return summary();
}
