/*
 * What root inside a container is told, that nothing of it is done, that a program it starts is
 * told the same, and that all else is what it was.
 */
#define _GNU_SOURCE
#include "shared/pretend.h"
#include "shared/test/check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OTHER = 4242 }; /* an id that is nobody's here */

static char file[PATH_MAX], made[PATH_MAX];

static bool is_made(mode_t mode)
{
	struct stat status;

	if (lstat(made, &status) < 0)
		return false;
	unlink(made);
	return (status.st_mode & S_IFMT) == mode;
}

static void test_owners(void)
{
	struct stat before, after;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0 && fstat(fd, &before) == 0);
	CHECK(chown(file, OTHER, OTHER) == 0);
	CHECK(lchown(file, OTHER, (gid_t)-1) == 0);
	CHECK(fchown(fd, OTHER, OTHER) == 0);
	CHECK(fchownat(AT_FDCWD, file, OTHER, OTHER, AT_SYMLINK_NOFOLLOW) == 0);
	CHECK(fchownat(fd, "", OTHER, OTHER, AT_EMPTY_PATH) == 0);
	CHECK(fstat(fd, &after) == 0 && after.st_uid == before.st_uid &&
	      after.st_gid == before.st_gid && after.st_ctim.tv_sec == before.st_ctim.tv_sec &&
	      after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
	close(fd);
}

static void test_ids(uid_t uid, gid_t gid)
{
	gid_t group = OTHER, before[64], after[64];
	uid_t real, effective, saved;
	gid_t real_group, effective_group, saved_group;
	int count = getgroups(64, before);

	CHECK(setgroups(1, &group) == 0);
	CHECK(setgid(OTHER) == 0 && setegid(OTHER) == 0);
	CHECK(setregid(OTHER, OTHER) == 0 && setresgid(OTHER, OTHER, OTHER) == 0);
	CHECK(setuid(OTHER) == 0 && seteuid(OTHER) == 0);
	CHECK(setreuid(OTHER, OTHER) == 0 && setresuid(OTHER, OTHER, OTHER) == 0);
	CHECK(setfsuid(OTHER) == 0 && setfsgid(OTHER) == 0);
	CHECK(getresuid(&real, &effective, &saved) == 0);
	CHECK(real == uid && effective == uid && saved == uid);
	CHECK(getresgid(&real_group, &effective_group, &saved_group) == 0);
	CHECK(real_group == gid && effective_group == gid && saved_group == gid);
	CHECK(count >= 0 && getgroups(64, after) == count);
	CHECK(memcmp(before, after, (size_t)count * sizeof(gid_t)) == 0);
}

static void test_nodes(void)
{
	CHECK(mknod(made, S_IFCHR | 0666, 0x103) == 0 && !is_made(S_IFCHR));
	CHECK(mknod(made, S_IFBLK | 0666, 0x103) == 0 && access(made, F_OK) < 0);
	CHECK(mknodat(AT_FDCWD, made, S_IFCHR | 0666, 0x103) == 0 && access(made, F_OK) < 0);
	CHECK(syscall(SYS_mknodat, AT_FDCWD, made, S_IFBLK, 0x800) == 0 && access(made, F_OK) < 0);
#ifdef SYS_mknod
	CHECK(syscall(SYS_mknod, made, S_IFCHR | 0600, 0x103) == 0 && access(made, F_OK) < 0);
	CHECK(syscall(SYS_mknod, made, S_IFIFO | 0600, 0) == 0 && is_made(S_IFIFO));
#endif
	CHECK(mkfifo(made, 0600) == 0 && is_made(S_IFIFO));
	CHECK(mknod(made, S_IFSOCK | 0600, 0) == 0 && is_made(S_IFSOCK));
	CHECK(mknod(made, S_IFREG | 0600, 0) == 0 && is_made(S_IFREG));
	CHECK(mknod(made, 0600, 0) == 0 && is_made(S_IFREG));
	CHECK(mknod(made, S_IFDIR | 0700, 0) < 0 && errno == EPERM);
}

/* What i386 has as chown(2), called by a child, since a kernel without it kills. */
#ifdef __x86_64__
static int call_as_32_bit(void)
{
	int result = 0, status;

	if (fork() == 0) {
		signal(SIGSEGV, SIG_DFL); /* as a kernel without such calls answers */
		__asm__ volatile("int $0x80"
				 : "=a"(result)
				 : "a"(182), "b"(0), "c"(0), "d"(0)
				 : "memory", "r8", "r9", "r10", "r11");
		_exit(result == -EFAULT ? 1 : result == 0 ? 0 : 2);
	}
	wait(&status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
#endif

static void test_the_rest(void)
{
	CHECK(open("/nonexistent", O_RDONLY) < 0 && errno == ENOENT);
	CHECK(kill(getpid(), 0) == 0);
	CHECK(setgroups(SIZE_MAX, NULL) == 0); /* not even looked at */
	CHECK(chmod(file, 0640) == 0);
	CHECK(unshare(CLONE_NEWUSER | 0x1) < 0 && errno == EINVAL);
	CHECK(setsid() < 0 || getsid(0) == getpid());
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	/* Numbers of x32, with which a filter that masks them would be fooled. */
	CHECK(syscall(0x40000000 | SYS_fchown, -1, 0, 0) < 0);
#ifdef __x86_64__
	CHECK(call_as_32_bit() == 1);
#endif
}

static void test_all(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();

	test_owners();
	test_ids(uid, gid);
	test_nodes();
	test_the_rest();
}

/* The same again by a program that was started under the filter, which has only inherited it. */
static void test_inherited(char *self)
{
	char *arguments[] = {self, file, made, NULL};
	char *nothing[] = {NULL};
	int status;

	fflush(stdout);
	if (fork() == 0) {
		execve("/proc/self/exe", arguments, nothing);
		_exit(127);
	}
	wait(&status);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Before any filter the same calls fail, or this would prove nothing. */
static void test_without(void)
{
	CHECK(fchown(-1, OTHER, OTHER) < 0 && errno == EBADF);
	CHECK(mknod("", S_IFCHR, 0x103) < 0);
	CHECK(setgroups(SIZE_MAX, NULL) < 0);
	CHECK(lchown("/nonexistent", OTHER, OTHER) < 0 && errno == ENOENT);
}

int main(int argc, char **argv)
{
	char directory[] = "/tmp/layercake-check.XXXXXX";
	struct lc_error error = {0};

	if (argc == 3) {
		strcpy(file, argv[1]);
		strcpy(made, argv[2]);
		test_all();
		return failed;
	}
	if (mkdtemp(directory) == NULL)
		return 1;
	snprintf(file, sizeof(file), "%s/file", directory);
	snprintf(made, sizeof(made), "%s/made", directory);
	close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	test_without();
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (!EXPECT(lc_pretend_root(&error) == 0, error.text))
		return summary();
	test_all();
	test_inherited(argv[0]);
	unlink(file);
	rmdir(directory);
	return summary();
}
