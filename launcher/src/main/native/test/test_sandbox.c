/* What the sandbox refuses, in all threads, and that what serving needs still works. */
#define _GNU_SOURCE
#include "common/sandbox.h"
#include "shared/test/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_barrier_t gate;

static void refused(const char *what, long result)
{
	if (!EXPECT(result == -1 && errno == EPERM, what))
		printf("  %s\n", strerror(errno));
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
	EXPECT(memory != MAP_FAILED, "memory");
	refused("memory made executable", mprotect(memory, 4096, PROT_READ | PROT_EXEC));
	EXPECT(mprotect(memory, 4096, PROT_READ) == 0, "memory made read-only");
	free(malloc(64 << 20));
	EXPECT(pread(STDIN_FILENO, &byte, 0, 0) == 0 || errno == ESPIPE, "reading");
	EXPECT(write(STDOUT_FILENO, "", 0) == 0, "writing");
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
	int status = summary();
	fflush(stdout);
	_exit(status);
}
