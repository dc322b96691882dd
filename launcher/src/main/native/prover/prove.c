/*
 * prove IMAGE_FILE [PROCESSORS]
 *
 * Reads all of a squashfs image: every inode, directory, block, fragment, link and attribute that
 * its root leads to. Says what it has found in one line, "names N bytes B sum H", by which whoever
 * packed the image knows that it holds what went in; docs/protocol.md says what H is made of. Exit
 * codes: 65 the image is damaged, 66 there is no such file, 69 it has more than is read, 70 and 74
 * it could not be read.
 */
#define _GNU_SOURCE
#include "common/count.h"
#include "common/die.h"
#include "common/sandbox.h"
#include "squash/file.h"
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEMORY_MAX_BYTES = 32 << 20 }; /* of each process */

static unsigned count_processors(void)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 2;

	return count < 1 ? 1 : count > WALKERS_MAX ? WALKERS_MAX : (unsigned)count;
}

/* The image may come from somebody else, and says how much memory reading it takes. */
static void confine(void)
{
	limit_memory(MEMORY_MAX_BYTES);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die(EXIT_INTERNAL, "cannot set no_new_privs: %s", strerror(errno));
	enter_sandbox();
}

/* How many walkers there are, from the parent to each of them: a byte. */
static int settled[2];

/* The walker waits until it is settled how many there are; -1: it cannot be started. */
static pid_t start(uint64_t bytes, unsigned number, struct share *share)
{
	unsigned char walkers;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(settled[1]);
	if (read(settled[0], &walkers, 1) != 1)
		_exit(EXIT_INTERNAL); /* the parent has gone */
	confine();
	walk(bytes, number, walkers, share);
}

/* Starts as many walkers as are wanted, or as the limits of the user allow, at least one. */
static unsigned start_all(uint64_t bytes, unsigned wanted, struct share *shares, pid_t *pids)
{
	unsigned char started = 0;

	if (pipe2(settled, O_CLOEXEC) < 0)
		die(EXIT_INTERNAL, "cannot make a pipe: %s", strerror(errno));
	while (started < wanted && (pids[started] = start(bytes, started, &shares[started])) > 0)
		started++;
	if (started == 0)
		die(EXIT_INTERNAL, "cannot start a process: %s", strerror(errno));
	for (unsigned i = 0; i < started; i++)
		if (write(settled[1], &started, 1) != 1)
			die(EXIT_INTERNAL, "cannot write to a pipe: %s", strerror(errno));
	return started;
}

static void await(pid_t pid, const struct share *share, const char *image)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die(EXIT_INTERNAL, "cannot wait for a process: %s", strerror(errno));
	if (WIFSIGNALED(status))
		die(EXIT_INTERNAL, "cannot read \"%s\": a process of prove was ended by signal %d",
		    image, WTERMSIG(status));
	if (share->cause != NULL)
		die(share->code, "cannot read \"%s\": %s",
		    share->path[0] == '\0' ? image : share->path, share->cause);
	if (!share->done)
		exit(WEXITSTATUS(status)); /* it has said why */
}

int main(int argc, char **argv)
{
	pid_t pids[WALKERS_MAX];
	struct share all = {0};
	uint64_t bytes;

	unsigned most = argc == 3 ? count_argument(argv[2]) : WALKERS_MAX;

	if (argc < 2 || argc > 3 || most == 0)
		die(EXIT_REQUEST, "usage: prove IMAGE_FILE [PROCESSORS]");
	bytes = open_image(argv[1]);
	unsigned wanted = count_processors();

	wanted = wanted < most ? wanted : most;
	struct share *shares = mmap(NULL, wanted * sizeof(*shares), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shares == MAP_FAILED)
		die(EXIT_INTERNAL, "no memory");
	unsigned walkers = start_all(bytes, wanted, shares, pids);
	for (unsigned i = 0; i < walkers; i++) {
		await(pids[i], &shares[i], argv[1]);
		all.sum += shares[i].sum;
	}
	if (printf("names %" PRIu64 " bytes %" PRIu64 " sum %016" PRIx64 "\n", shares[0].names,
		   shares[0].bytes, all.sum) < 0 ||
	    fflush(stdout) != 0)
		die(EXIT_INTERNAL, "cannot say the result: %s", strerror(errno));
	return EXIT_SUCCESS;
}
