#define _GNU_SOURCE
#include "pretend.h"
#include "filter.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define DONE RETURN(SECCOMP_RET_ERRNO) /* with errno 0: the call returns 0 */
#define PRETEND(call) UNLESS(__NR_##call, 1), DONE
/* The mode, whose low word comes first on both architectures, is argument number `mode`. */
#define PRETEND_DEVICES(call, mode)                                                                \
	UNLESS(__NR_##call, 6), LOAD(args[mode]), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, S_IFMT),     \
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, S_IFCHR, 1, 0), UNLESS(S_IFBLK, 1), DONE,          \
	    RETURN(SECCOMP_RET_ALLOW)

/*
 * Calls of another architecture, such as those of 32-bit programs, have other numbers, and are
 * what they were. So is capset(2): in its own user namespace the process has what it may drop.
 */
static struct sock_filter filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
    RETURN(SECCOMP_RET_ALLOW),
    LOAD(nr),
#ifdef __NR_chown
    PRETEND(chown),
    PRETEND(lchown),
    PRETEND_DEVICES(mknod, 1),
#endif
    PRETEND(fchown),
    PRETEND(fchownat),
    PRETEND_DEVICES(mknodat, 2),
    PRETEND(setuid),
    PRETEND(setgid),
    PRETEND(setreuid),
    PRETEND(setregid),
    PRETEND(setresuid),
    PRETEND(setresgid),
    PRETEND(setfsuid), /* returns the old one, which is 0 */
    PRETEND(setfsgid),
    PRETEND(setgroups),
    RETURN(SECCOMP_RET_ALLOW),
};

int lc_pretend_root(struct lc_error *error)
{
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	/* It keeps nothing from anybody, so it needs no defence against speculation either. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		    &program) != 0)
		return lc_fail(error, EXIT_MISCONFIGURED,
			       "cannot install the seccomp filter of --ch-root: %s (tell the "
			       "site: the kernel needs CONFIG_SECCOMP_FILTER)",
			       strerror(errno));
	return 0;
}
