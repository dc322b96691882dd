/*
 * imageserver IMAGE_FILE MOUNTPOINT
 *
 * Mounts a squashfs image read-only in the current mount namespace, says "mounted" on stdout and
 * becomes the process that serves it. Image files come from users: the kernel's own squashfs must
 * never see them, and whatever reads them must have nothing to lose. Root therefore only opens
 * /dev/fuse and calls mount(2); before the first byte of the image is read, the process is nobody,
 * without groups, capabilities, network or sight of other processes' memory.
 *
 * The server ends when the mount point is unmounted.
 */
#define _GNU_SOURCE
#include "die.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	NOBODY = 65534,
	IMAGE_FD = 3,
	FUSE_FD = 4,
};

static int open_image(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fstat(fd, &status) < 0)
		die(EXIT_INPUT, "cannot open the image file \"%s\": %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		die(EXIT_INPUT, "cannot serve \"%s\": not a regular file", path);
	/* squashfuse opens it once more, as nobody; the directory may and should be closed. */
	if (!(status.st_mode & S_IROTH))
		die(EXIT_MISCONFIGURED, "cannot serve \"%s\": nobody may not read it (chmod o+r)",
		    path);
	return fd;
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

/* Leaves exactly stdin, stdout, stderr, IMAGE_FD and FUSE_FD open. */
static void arrange_descriptors(int image, int fuse)
{
	int high_image = fcntl(image, F_DUPFD, FUSE_FD + 1);
	int high_fuse = fcntl(fuse, F_DUPFD, FUSE_FD + 1);

	if (high_image < 0 || high_fuse < 0 || dup2(high_image, IMAGE_FD) < 0 ||
	    dup2(high_fuse, FUSE_FD) < 0 || close_range(FUSE_FD + 1, ~0U, 0) < 0)
		die(EXIT_INTERNAL, "cannot arrange file descriptors: %s", strerror(errno));
}

static void become_nobody(void)
{
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
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die(EXIT_INTERNAL, "cannot set no_new_privs: %s", strerror(errno));
}

static void start_clean(void)
{
	start_own_session();
	if (chdir("/") < 0 || clearenv() != 0 || setenv("PATH", "/usr/bin:/bin", 1) < 0)
		die(EXIT_INTERNAL, "cannot clean the environment: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	if (argc != 3)
		die(EXIT_REQUEST, "usage: imageserver IMAGE_FILE MOUNTPOINT");
	start_clean();
	int image = open_image(argv[1]);
	int fuse = mount_fuse(argv[2]);
	arrange_descriptors(image, fuse);
	become_nobody();
	if (dprintf(STDOUT_FILENO, "mounted\n") < 0)
		die(EXIT_INTERNAL, "cannot report to the launcher: %s", strerror(errno));
	execlp("squashfuse_ll", "squashfuse_ll", "-f", "/proc/self/fd/3", "/dev/fd/4", NULL);
	die(EXIT_MISCONFIGURED, "cannot run squashfuse_ll: %s (install the package squashfuse)",
	    strerror(errno));
}
