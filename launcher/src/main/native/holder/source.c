/*
 * Opens what users want to see in a container. A link of /proc to an open file or to a process's
 * directories leads wherever that process is, whatever its text says: those of the holder, which is
 * root's for some moments, would show what no path shows. proc(5)
 */
#define _GNU_SOURCE
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

enum {
	MAX_LINKS = 40, /* as the kernel, path_resolution(7) */
	PROC_ROOT = 1,	/* the inode of /proc itself, whose links are ordinary */
};

/* As in linux/openat2.h, which older headers lack. */
static const uint64_t NO_MAGIC_LINKS = 0x02;

int open_source_path(const char *path, int flags)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = {.flags = (uint64_t)flags, .resolve = NO_MAGIC_LINKS};
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd >= 0 || errno != ENOSYS)
		return (int)fd;
	return open_step_by_step(path, flags);
}

static bool is_magic(int directory, int link)
{
	struct statfs filesystem;
	struct stat above;

	return fstatfs(link, &filesystem) < 0 || fstat(directory, &above) < 0 ||
	       (filesystem.f_type == PROC_SUPER_MAGIC && above.st_ino != PROC_ROOT);
}

/* Puts the text of a link before what is left of the path. Returns 0 or an errno. */
static int put_before(int directory, const char *name, char rest[PATH_MAX])
{
	char joined[2 * PATH_MAX];
	int link = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	ssize_t length = link < 0 ? -1 : readlinkat(link, "", joined, PATH_MAX - 1);
	int error = length < 0 ? errno : is_magic(directory, link) ? ELOOP : 0;

	if (link >= 0)
		close(link);
	if (error != 0)
		return error;
	snprintf(joined + length, sizeof(joined) - (size_t)length, "%s", rest);
	if (strlen(joined) >= PATH_MAX)
		return ENAMETOOLONG;
	strcpy(rest, joined);
	return 0;
}

static int follow(int *directory, const char *name, char rest[PATH_MAX])
{
	int error = put_before(*directory, name, rest);

	if (error != 0 || rest[0] != '/')
		return error;
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return errno;
	close(*directory);
	*directory = root;
	return 0;
}

/* Goes one name further. Returns 0 or an errno; *directory is the new place. */
static int step(int *directory, const char *name, char rest[PATH_MAX], int flags, int *links)
{
	bool is_last = rest[strspn(rest, "/")] == '\0';
	/* Slashes at the end ask for a directory. */
	bool wants_directory = !is_last || rest[0] == '/' || (flags & O_DIRECTORY) != 0;
	struct stat status;

	/* By that flag automounters go off. */
	int next = openat(*directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (next < 0 && errno == ENOTDIR) {
		if (fstatat(*directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			return errno;
		if (S_ISLNK(status.st_mode))
			return ++*links > MAX_LINKS ? ELOOP : follow(directory, name, rest);
		if (wants_directory)
			return ENOTDIR;
		next = openat(*directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	if (next < 0)
		return errno;
	close(*directory);
	*directory = next;
	return 0;
}

int open_step_by_step(const char *path, int flags)
{
	char rest[PATH_MAX], name[NAME_MAX + 1];
	int links = 0, error = 0;
	int place = open(path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (place < 0)
		return -1;
	if (strlen(path) >= sizeof(rest))
		error = ENAMETOOLONG;
	else
		strcpy(rest, path);
	while (error == 0) {
		size_t slashes = strspn(rest, "/");
		size_t length = strcspn(rest + slashes, "/");
		if (length == 0)
			break;
		if (length > NAME_MAX) {
			error = ENAMETOOLONG;
			break;
		}
		memcpy(name, rest + slashes, length);
		name[length] = '\0';
		memmove(rest, rest + slashes + length, strlen(rest + slashes + length) + 1);
		error = step(&place, name, rest, flags, &links);
	}
	if (error == 0)
		return place;
	close(place);
	errno = error;
	return -1;
}
