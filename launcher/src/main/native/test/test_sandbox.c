/* What the sandbox refuses, in all threads, and that what serving needs still works. */
#define _GNU_SOURCE
#include "common/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int passed;
static int failed;
static pthread_barrier_t gate;

static void check(const char *what, bool good)
{
	if (good) {
		passed++;
	} else {
		failed++;
		printf("FAILED: %s: %s\n", what, strerror(errno));
	}
}

static void refused(const char *what, long result)
{
	check(what, result == -1 && errno == EPERM);
}

static void try_all(void)
{
	char *nothing[] = {NULL};
	char byte;

	refused("open", open("/etc/passwd", O_RDONLY));
	refused("openat2", syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0));
	refused("creat", syscall(SYS_openat, AT_FDCWD, "/tmp/layercake-none", O_CREAT, 0600));
	refused("unlink", unlink("/tmp/layercake-none"));
	refused("stat", access("/", F_OK));
	refused("execve", execve("/bin/true", nothing, nothing));
	refused("socket", socket(AF_UNIX, SOCK_STREAM, 0));
	refused("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}));
	refused("fork", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	refused("clone3", syscall(SYS_clone3, NULL, 0));
	refused("kill", kill(1, 0));
	refused("tgkill", syscall(SYS_tgkill, 1, 1, SIGKILL));
	refused("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	refused("process_vm_readv", syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0));
	refused("io_uring_setup", syscall(SYS_io_uring_setup, 1, NULL));
	refused("mount", syscall(SYS_mount, "a", "b", "c", 0, NULL));
	refused("setns", syscall(SYS_setns, 0, 0));
	refused("ioctl", syscall(SYS_ioctl, 0, 0, NULL));
	refused("pwrite", pwrite(STDOUT_FILENO, "", 1, 0));
	refused("prctl", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	refused("executable memory", mmap(NULL, 4096, PROT_READ | PROT_EXEC,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
					 ? -1
					 : 0);
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check("memory", memory != MAP_FAILED);
	refused("memory made executable", mprotect(memory, 4096, PROT_READ | PROT_EXEC));
	check("memory made read-only", mprotect(memory, 4096, PROT_READ) == 0);
	free(malloc(64 << 20));
	check("reading", pread(STDIN_FILENO, &byte, 0, 0) == 0 || errno == ESPIPE);
	check("writing", write(STDOUT_FILENO, "", 0) == 0);
}

static void *other_thread(void *unused)
{
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	try_all();
	return unused;
}

int main(void)
{
	pthread_t thread;

	pthread_barrier_init(&gate, NULL, 2);
	if (pthread_create(&thread, NULL, other_thread, NULL) != 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return 1;
	pthread_barrier_wait(&gate);
	enter_sandbox();
	try_all();
	pthread_barrier_wait(&gate);
	pthread_join(thread, NULL);
	printf("%d passed, %d failed\n", passed, failed);
	fflush(stdout);
	_exit(failed != 0);
}
