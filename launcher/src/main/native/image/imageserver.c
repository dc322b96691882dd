/*
 * imageserver [--cgroup FILE] [--owner UID:GID] IMAGE_FILE MOUNTPOINT
 *             [MAP WANTED ARRIVED LIMIT_SECONDS]
 *
 * Mounts a squashfs image read-only in the current mount namespace, says "mounted" on stdout and
 * serves it. With MAP the image file is still being filled: docs/protocol.md says how the launcher
 * and this program tell each other what is there and what is wanted.
 *
 * Image files come from users: the kernel's own squashfs must never see them, and whatever reads
 * them must have nothing to lose. Root therefore only opens files and calls mount(2); before the
 * first byte of the image is read, the process is nobody, without groups, capabilities, network or
 * sight of other processes' memory, and can open nothing any more.
 *
 * FILE is the cgroup.procs of a cgroup to join. UID and GID own all files, instead of whom the
 * image says.
 *
 * The server ends when the mount point is unmounted.
 */
#define _GNU_SOURCE
#include "common/die.h"
#include "common/sandbox.h"
#include "common/session.h"
#include "filling.h"
#include "image.h"
#include "serve.h"
#include "shared/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

#define OOM_SCORE "500" /* of -1000 to 1000; jobs have 0 */

enum {
	NOBODY = 65534,
	LIMIT_MAX_SECONDS = 86400,
	MEMORY_MAX_BYTES = 192 << 20,
	/* How many files it is given, of an image that is whole or on its way: */
	WHOLE = 2,
	FILLING = 6,
};

static int open_regular(const char *path, const char *what, struct stat *status)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fstat(fd, status) < 0)
		die(EXIT_INPUT, "cannot open the %s \"%s\": %s", what, path, strerror(errno));
	if (!S_ISREG(status->st_mode))
		die(EXIT_INPUT, "cannot serve \"%s\": not a regular file", path);
	return fd;
}

static void open_map(const char *path, struct map *map)
{
	struct stat status;
	int fd = open_regular(path, "map", &status);
	void *bytes = MAP_FAILED;

	if (status.st_size > 0 && status.st_size <= MAP_MAX_BYTES)
		bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED || !map_parse(map, bytes, (size_t)status.st_size))
		die(EXIT_INPUT, "cannot use the map \"%s\": not a map of chunks", path);
	close(fd);
}

/* Open for both directions: the launcher may go and come without anybody seeing an end. fifo(7) */
static int open_fifo(const char *path)
{
	struct stat status;

	if (mkfifo(path, 0600) < 0 && errno != EEXIST)
		die(EXIT_INTERNAL, "cannot make \"%s\": %s", path, strerror(errno));
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &status) < 0)
		die(EXIT_INTERNAL, "cannot open \"%s\": %s", path, strerror(errno));
	if (!S_ISFIFO(status.st_mode))
		die(EXIT_INTERNAL, "cannot use \"%s\": not a FIFO", path);
	return fd;
}

static int64_t parse_limit(const char *text)
{
	char *end;

	errno = 0;
	long seconds = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || seconds < 1 || seconds > LIMIT_MAX_SECONDS)
		die(EXIT_REQUEST, "cannot wait for \"%s\" seconds: 1 to %d", text,
		    LIMIT_MAX_SECONDS);
	return seconds * 1000;
}

static void open_files(char **files, bool complete, struct filling *filling)
{
	struct stat status;

	*filling = (struct filling){.image = open_regular(files[0], "image file", &status),
				    .image_bytes = (uint64_t)status.st_size,
				    .complete = complete,
				    .wanted = -1,
				    .arrived = -1};
	if (filling->complete)
		return;
	open_map(files[2], &filling->map);
	if (filling->map.image_bytes != filling->image_bytes)
		die(EXIT_INPUT, "cannot serve \"%s\": its map is of another size", files[0]);
	filling->wanted = open_fifo(files[3]);
	filling->arrived = open_fifo(files[4]);
	filling->limit_millis = parse_limit(files[5]);
}

static int mount_fuse(const char *mount_point)
{
	char options[128];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(EXIT_MISCONFIGURED, "cannot open /dev/fuse: %s (load the kernel module fuse)",
		    strerror(errno));
	/* allow_other: the image is for the users of the node, only the directory above is closed.
	 */
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other", fd, NOBODY, NOBODY);
	if (mount("layercake", mount_point, "fuse.layercake", MS_RDONLY | MS_NOSUID | MS_NODEV,
		  options) < 0)
		die(EXIT_INTERNAL, "cannot mount on \"%s\": %s", mount_point, strerror(errno));
	return fd;
}

static void become_nobody(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct no_capabilities[_LINUX_CAPABILITY_U32S_3] = {{0}};

	/* No network and no System V objects, while we may still ask for that. */
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC) < 0)
		die(EXIT_INTERNAL, "cannot leave the network namespace: %s", strerror(errno));
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		die(EXIT_INTERNAL, "cannot become nobody: %s", strerror(errno));
	/*
	 * All image servers have the same uid. In a user namespace of its own a server taken over
	 * by a hostile image can neither trace the others nor read their memory, ptrace(2).
	 */
	if (unshare(CLONE_NEWUSER) < 0)
		die(EXIT_MISCONFIGURED,
		    "cannot make a user namespace: %s (raise user.max_user_namespaces)",
		    strerror(errno));
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
		if (prctl(PR_CAPBSET_DROP, capability) < 0)
			die(EXIT_INTERNAL, "cannot drop capability %d: %s", capability,
			    strerror(errno));
	/* The new namespace gave us all of them, inside. */
	if (syscall(SYS_capset, &header, no_capabilities) < 0)
		die(EXIT_INTERNAL, "cannot drop capabilities: %s", strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die(EXIT_INTERNAL, "cannot set no_new_privs: %s", strerror(errno));
}

static void start_clean(void)
{
	start_own_session();
	/* Nobody listens any more when the launcher has ended. */
	signal(SIGPIPE, SIG_IGN);
	if (chdir("/") < 0 || clearenv() != 0)
		die(EXIT_INTERNAL, "cannot start clean: %s", strerror(errno));
	if (lc_close_from(STDERR_FILENO + 1) < 0)
		die(EXIT_INTERNAL, "cannot close file descriptors: %s", strerror(errno));
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

/* All image servers in one cgroup: what they need together is bounded, and charged to them. */
static void join_cgroup(const char *procs)
{
	if (!write_file(procs, "0"))
		die(EXIT_INTERNAL, "cannot join the cgroup of \"%s\": %s", procs, strerror(errno));
}

/*
 * Without memory an image server is ended before a job: the launcher's own oom_score_adj, which it
 * inherits, is below everybody's. proc(5)
 */
static void be_first_without_memory(void)
{
	if (!write_file("/proc/self/oom_score_adj", OOM_SCORE))
		die(EXIT_INTERNAL, "cannot write /proc/self/oom_score_adj: %s", strerror(errno));
}

/*
 * Whoever needs memory may have to wait for our answer; when we need some ourselves, the kernel
 * must not wait for us. PR_SET_IO_FLUSHER(2const), since Linux 5.6.
 */
static void be_io_flusher(void)
{
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0 && errno != EINVAL && errno != EPERM)
		die(EXIT_INTERNAL, "cannot become an I/O flusher: %s", strerror(errno));
}

/* The launcher may not be reading stderr: what does not fit in the pipe is lost. */
static void never_block_on_stderr(void)
{
	struct stat status;

	if (fstat(STDERR_FILENO, &status) == 0 && S_ISFIFO(status.st_mode))
		fcntl(STDERR_FILENO, F_SETFL, O_WRONLY | O_NONBLOCK);
}

static uint32_t parse_id(const char *text, char end, const char **rest)
{
	char *after;

	errno = 0;
	unsigned long id = strtoul(text, &after, 10);
	if (errno != 0 || text[0] < '0' || text[0] > '9' || *after != end || id >= UINT32_MAX)
		die(EXIT_REQUEST, "cannot give files to \"%s\": not UID:GID", text);
	*rest = after + 1;
	return (uint32_t)id;
}

static void give_files_to(const char *owner)
{
	const char *rest;
	uid_t uid = parse_id(owner, ':', &rest);

	image_give_to(uid, parse_id(rest, '\0', &rest));
}

/* What is left are the files; returns their number. */
static int parse_options(int argc, char **argv, const char **cgroup)
{
	static const struct option options[] = {
	    {"cgroup", required_argument, NULL, 'c'},
	    {"owner", required_argument, NULL, 'o'},
	    {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			*cgroup = optarg;
			break;
		case 'o':
			give_files_to(optarg);
			break;
		default:
			exit(EXIT_REQUEST); /* getopt_long has said why */
		}
	}
	int count = argc - optind;
	if (count != WHOLE && count != FILLING)
		die(EXIT_REQUEST,
		    "usage: imageserver [--cgroup FILE] [--owner UID:GID] IMAGE_FILE MOUNTPOINT "
		    "[MAP WANTED ARRIVED LIMIT_SECONDS]");
	return count;
}

int main(int argc, char **argv)
{
	struct filling filling;
	const char *cgroup = NULL;
	int count = parse_options(argc, argv, &cgroup);
	char **files = argv + optind;

	start_clean();
	if (cgroup != NULL)
		join_cgroup(cgroup);
	be_first_without_memory();
	be_io_flusher();
	open_files(files, count == WHOLE, &filling);
	filling.mount = mount_fuse(files[1]);
	filling_use(&filling);
	/* An image says how much memory reading it takes. */
	limit_memory(MEMORY_MAX_BYTES);
	become_nobody();
	serve_prepare(filling.mount);
	never_block_on_stderr();
	enter_sandbox();
	if (dprintf(STDOUT_FILENO, "mounted\n") < 0)
		die(EXIT_INTERNAL, "cannot report to the launcher: %s", strerror(errno));
	serve();
	return EXIT_SUCCESS; /* unmounted */
}
