/*
 * volume DIRECTORY BYTES UID GID MOUNT_POINT: mounts an empty file system of that size, in which a
 * job keeps what it changes of an image: the two halves of an overlay's upper layer, `upper`, which
 * is the user's, and `work`. Once `work` is there, all is.
 *
 * The file system is in a file of DIRECTORY that never has a name: it is gone when nobody has it
 * mounted any more, and after a crash when DIRECTORY is mounted again. All of it is reserved, so
 * that who writes is told when the file system is full, and never hears of the one below.
 *
 * Runs as root, and ends with the launcher. Only the kernel and mkfs.ext4 write the file's bytes.
 */
#define _GNU_SOURCE
#include "common/die.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	BLOCK_BYTES = 4096,
	FILE_FD = 3, /* what mkfs.ext4 sees as its device */
	LOOP_TRIES = 1000,
};
static const uint64_t MIB = 1 << 20;

static uint64_t parse_number(const char *name, const char *text)
{
	char *end;

	errno = 0;
	uint64_t value = strtoull(text, &end, 10);
	if (errno != 0 || *text < '0' || *text > '9' || *end != '\0')
		die(EXIT_REQUEST, "%s \"%s\" is not a number", name, text);
	return value;
}

/* A launcher that comes later makes its own. */
static void end_with_launcher(void)
{
	pid_t launcher = getppid();

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != launcher)
		die(EXIT_INTERNAL, "the launcher has ended");
}

_Noreturn static void die_full(const char *directory, uint64_t bytes, uint64_t room)
{
	die(EXIT_FULL,
	    "cannot keep %" PRIu64 " MiB of changes to the image: \"%s\" has room for %" PRIu64
	    " MiB (ask for less with --ch-writable=SIZE, or run elsewhere)",
	    bytes / MIB, directory, room / MIB);
}

static int make_file(const char *directory, uint64_t bytes)
{
	struct statvfs space;
	int fd = open(directory, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || fstatvfs(fd, &space) < 0)
		die(EXIT_MISCONFIGURED, "cannot make a file in \"%s\": %s (tell the site)",
		    directory, strerror(errno));
	/* What is kept for root alone is not for users. */
	uint64_t room = (uint64_t)space.f_bavail * space.f_frsize;
	if (bytes > room)
		die_full(directory, bytes, room);
	if (fallocate(fd, 0, 0, (off_t)bytes) < 0) {
		if (errno == ENOSPC || errno == EFBIG || errno == EDQUOT)
			die_full(directory, bytes, room);
		die(EXIT_MISCONFIGURED,
		    "cannot reserve %" PRIu64 " MiB in \"%s\": %s (tell the site)", bytes / MIB,
		    directory, strerror(errno));
	}
	return fd;
}

/* Without a journal: what a crash leaves is of no use to anybody. */
_Noreturn static void run_mkfs(int file)
{
	static const char *const programs[] = {"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"};
	/* All is said here, so that no mke2fs.conf(5) matters. */
	static char *const arguments[] = {
	    "mkfs.ext4",
	    "-q",
	    "-F",
	    "-b",
	    "4096",
	    "-I",
	    "256",
	    "-i",
	    "8192",
	    "-m",
	    "0",
	    "-O",
	    "none,filetype,extent,64bit,flex_bg,metadata_csum,sparse_super,large_file,huge_file,"
	    "dir_nlink,extra_isize,dir_index",
	    "-E",
	    "nodiscard,lazy_itable_init=1",
	    "/proc/self/fd/3",
	    NULL};
	static char *const environment[] = {NULL};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
	    (file == FILE_FD ? fcntl(file, F_SETFD, 0) : dup2(file, FILE_FD)) < 0)
		die(EXIT_INTERNAL, "cannot run mkfs.ext4: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		execve(programs[i], arguments, environment);
	die(EXIT_MISCONFIGURED, "cannot run mkfs.ext4: %s (tell the site: install e2fsprogs)",
	    strerror(errno));
}

static void format(int file)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		run_mkfs(file);
	if (child < 0 || waitpid(child, &status, 0) != child)
		die(EXIT_INTERNAL, "cannot run mkfs.ext4: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_MISCONFIGURED)
		exit(EXIT_MISCONFIGURED); /* it has said why */
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		die(EXIT_INTERNAL, "mkfs.ext4 failed with status %d (tell the site)", status);
}

/* Returns the device, which is free again when nobody has it open or mounted. */
static int attach_loop(int file, char *path, size_t size)
{
	/* Past the cache of the file below, so that nothing is in memory twice. */
	struct loop_config config = {
	    .fd = (uint32_t)file,
	    .block_size = BLOCK_BYTES,
	    .info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
	};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);

	if (control < 0)
		die(EXIT_MISCONFIGURED,
		    "cannot open \"/dev/loop-control\": %s (tell the site: modprobe loop)",
		    strerror(errno));
	for (int i = 0; i < LOOP_TRIES; i++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0)
			break;
		snprintf(path, size, "/dev/loop%d", number);
		int device = open(path, O_RDWR | O_CLOEXEC);
		if (device < 0)
			die(EXIT_MISCONFIGURED, "cannot open \"%s\": %s (tell the site)", path,
			    strerror(errno));
		if (ioctl(device, LOOP_CONFIGURE, &config) == 0) {
			close(control);
			return device;
		}
		close(device);
		if (errno != EBUSY) /* somebody was faster */
			break;
	}
	die(EXIT_MISCONFIGURED, "cannot have a loop device: %s (tell the site; it takes Linux 5.8)",
	    strerror(errno));
}

static void make_halves(const char *mount_point, uid_t uid, gid_t gid)
{
	int root = open(mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	umask(0);
	if (root < 0 || fchmod(root, 0700) < 0 || unlinkat(root, "lost+found", AT_REMOVEDIR) < 0 ||
	    mkdirat(root, "upper", 0755) < 0 || fchownat(root, "upper", uid, gid, 0) < 0 ||
	    mkdirat(root, "work", 0755) < 0)
		die(EXIT_INTERNAL, "cannot fill \"%s\": %s (tell the site)", mount_point,
		    strerror(errno));
}

int main(int argc, char **argv)
{
	char device_path[32];

	if (argc != 6)
		die(EXIT_REQUEST, "usage: volume DIRECTORY BYTES UID GID MOUNT_POINT");
	uint64_t bytes = parse_number("bytes", argv[2]);
	uid_t uid = (uid_t)parse_number("uid", argv[3]);
	gid_t gid = (gid_t)parse_number("gid", argv[4]);
	end_with_launcher();
	int file = make_file(argv[1], bytes);
	format(file);
	int device = attach_loop(file, device_path, sizeof(device_path));
	if (mount(device_path, argv[5], "ext4", MS_NOSUID | MS_NODEV,
		  "errors=remount-ro,nobarrier,noinit_itable") < 0)
		die(EXIT_MISCONFIGURED, "cannot mount \"%s\" as ext4: %s (tell the site)",
		    device_path, strerror(errno));
	make_halves(argv[5], uid, gid);
	close(device);
	return 0;
}
