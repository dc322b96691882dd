#define _GNU_SOURCE
#include "mounts.h"
#include "common/die.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * open_tree(2) and move_mount(2) by their numbers, which are those of every architecture but Alpha:
 * glibc has the functions since 2.36, and <linux/mount.h> is at odds with <sys/mount.h> before it.
 */
enum {
	CALL_OPEN_TREE = 428,
	CALL_MOVE_MOUNT = 429,
	CLONE_TREE = 1,	       /* OPEN_TREE_CLONE; OPEN_TREE_CLOEXEC is O_CLOEXEC */
	FROM_EMPTY_PATH = 0x4, /* MOVE_MOUNT_F_EMPTY_PATH */
};

/* One line of /proc/self/mountinfo, proc(5). */
struct mount_entry {
	char *target;
	unsigned long flags;
};

static unsigned long flags_of(const char *options)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} table[] = {
	    {"ro", MS_RDONLY},	       {"nosuid", MS_NOSUID},
	    {"nodev", MS_NODEV},       {"noexec", MS_NOEXEC},
	    {"noatime", MS_NOATIME},   {"nodiratime", MS_NODIRATIME},
	    {"relatime", MS_RELATIME}, {"nosymfollow", 256 /* Linux 5.10 */},
	};
	unsigned long flags = 0;
	char *copy = strdup(options), *rest = copy, *option;

	while ((option = strsep(&rest, ",")) != NULL)
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
			if (strcmp(option, table[i].name) == 0)
				flags |= table[i].flag;
	free(copy);
	return flags;
}

/* The kernel writes space, tab, newline and backslash as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (char *from = text; *from != '\0'; from++) {
		if (from[0] == '\\' && from[1] != '\0' && from[2] != '\0' && from[3] != '\0') {
			*to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + from[3] - '0');
			from += 3;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

/* The mounts at (when `top`) and below a directory, in the order they were made. */
static size_t list_mounts(const char *directory, bool top, struct mount_entry **list)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *target, *options;
	size_t size = 0, count = 0;

	if (file == NULL)
		die(EXIT_INTERNAL, "cannot read /proc/self/mountinfo: %s", strerror(errno));
	*list = NULL;
	while (getline(&line, &size, file) > 0) {
		target = options = NULL;
		if (sscanf(line, "%*s %*s %*s %*s %ms %ms", &target, &options) != 2)
			die(EXIT_INTERNAL, "cannot understand /proc/self/mountinfo");
		unescape(target);
		if (top ? is_at_or_below(target, directory) : below(target, directory) != NULL) {
			*list = reallocarray(*list, count + 1, sizeof(**list));
			if (*list == NULL)
				die(EXIT_INTERNAL, "out of memory");
			(*list)[count++] =
			    (struct mount_entry){.target = target, .flags = flags_of(options)};
		} else {
			free(target);
		}
		free(options);
	}
	free(line);
	fclose(file);
	return count;
}

static void free_mounts(struct mount_entry *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i].target);
	free(list);
}

int take_mount(const char *image)
{
	return (int)syscall(CALL_OPEN_TREE, AT_FDCWD, image, CLONE_TREE | O_CLOEXEC);
}

void enter_private_mounts(int job_namespace)
{
	/* A hardened unit has mounts of its own, which are not the job's business. */
	if (job_namespace < 0)
		job_namespace = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (job_namespace < 0 || setns(job_namespace, CLONE_NEWNS) < 0)
		die(EXIT_INTERNAL, "cannot enter the job's mount namespace: %s", strerror(errno));
	close(job_namespace);
	/* Slave: what the site mounts later appears in the job, and nothing leaves it. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		die(EXIT_INTERNAL, "cannot make a private mount namespace: %s", strerror(errno));
}

void attach_mount(int mount_fd, const char *target)
{
	if (syscall(CALL_MOVE_MOUNT, mount_fd, "", AT_FDCWD, target, FROM_EMPTY_PATH) < 0 ||
	    mount(NULL, target, NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die(EXIT_INTERNAL, "cannot attach a mount to \"%s\": %s", target, strerror(errno));
}

void detach_mounts_below(const char *directory)
{
	struct mount_entry *list;
	size_t count = list_mounts(directory, false, &list);

	for (size_t i = count; i > 0; i--) /* the last on top first */
		if (umount2(list[i - 1].target, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 &&
		    errno != EINVAL && errno != ENOENT) /* EINVAL: went with the one above it */
			die(EXIT_INTERNAL, "cannot hide \"%s\": %s", list[i - 1].target,
			    strerror(errno));
	free_mounts(list, count);
}

void make_read_only(const char *target)
{
	struct mount_entry *list;
	size_t count = list_mounts(target, true, &list);

	for (size_t i = 0; i < count; i++)
		/* Flags not repeated would be taken away, mount(2). */
		if (mount(NULL, list[i].target, NULL,
			  MS_REMOUNT | MS_BIND | MS_RDONLY | list[i].flags, NULL) < 0)
			die(EXIT_INTERNAL, "cannot make \"%s\" read-only: %s", list[i].target,
			    strerror(errno));
	free_mounts(list, count);
	count = list_mounts(target, true, &list);
	if (count == 0)
		die(EXIT_INTERNAL, "cannot make \"%s\" read-only: not mounted", target);
	for (size_t i = 0; i < count; i++)
		if (!(list[i].flags & MS_RDONLY))
			die(EXIT_INTERNAL, "cannot make \"%s\" read-only: it stays writable",
			    list[i].target);
	free_mounts(list, count);
}
