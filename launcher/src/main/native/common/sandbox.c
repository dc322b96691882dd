#define _GNU_SOURCE
#include "sandbox.h"
#include "die.h"
#include "shared/filter.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALLOW(call)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1), RETURN(SECCOMP_RET_ALLOW)
/* The third argument of mmap and mprotect, whose low word comes first on both architectures. */
#define ALLOW_UNLESS_EXECUTABLE(call)                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 4), LOAD(args[2]),                     \
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0), RETURN(SECCOMP_RET_ALLOW),      \
	    RETURN(SECCOMP_RET_ERRNO | EPERM)

static struct sock_filter filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
    RETURN(SECCOMP_RET_KILL_PROCESS),
    LOAD(nr),
    ALLOW(read),
    ALLOW(write),
    ALLOW(writev),
    ALLOW(pread64),
    ALLOW(lseek), /* dprintf(3) */
    ALLOW(futex),
#ifdef __NR_poll
    ALLOW(poll),
#endif
    ALLOW(ppoll),
    ALLOW_UNLESS_EXECUTABLE(mmap),
    ALLOW_UNLESS_EXECUTABLE(mprotect),
    ALLOW(munmap),
    ALLOW(mremap),
    ALLOW(madvise),
    ALLOW(brk),
    ALLOW(clock_gettime),
    ALLOW(getrandom), /* malloc(3) */
    ALLOW(sched_yield),
    ALLOW(rt_sigprocmask),
    ALLOW(rt_sigreturn),
#ifdef __SANITIZE_ADDRESS__
    ALLOW(sigaltstack), /* the sanitizer's, whenever a thread or the process ends */
#endif
    ALLOW(restart_syscall),
    ALLOW(close),
    ALLOW(exit),
    ALLOW(exit_group),
    RETURN(SECCOMP_RET_ERRNO | EPERM),
};

void limit_memory(size_t bytes)
{
#ifdef __SANITIZE_ADDRESS__
	(void)bytes;
#else
	struct rlimit none = {0, 0};
	struct rlimit memory = {bytes, bytes};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_DATA, &memory) < 0)
		die(EXIT_INTERNAL, "cannot limit memory: %s", strerror(errno));
#endif
}

void enter_sandbox(void)
{
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
		die(EXIT_INTERNAL, "cannot install the seccomp filter: %s", strerror(errno));
}
