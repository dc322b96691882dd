#define _GNU_SOURCE
#include "devices.h"
#include "common/die.h"
#include "skeleton.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

bool is_new_device(int node_devices, const char *path)
{
	char name[NAME_MAX + 1];
	struct stat status;

	path += strspn(path, "/");
	size_t length = strcspn(path, "/");
	if (length > NAME_MAX)
		return false;
	memcpy(name, path, length);
	name[length] = '\0';
	return fstatat(node_devices, name, &status, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

bool has_own_devices(const struct plan *plan)
{
	for (size_t i = 0; i < plan->bind_count; i++)
		if (plan->binds[i].fd >= 0 && plan->binds[i].new_in_dev)
			return true;
	return false;
}

_Noreturn static void die_of(const char *name)
{
	die(EXIT_INTERNAL, "cannot show the node's \"%s/%s\": %s", DEVICES, name, strerror(errno));
}

static void copy_link(int node_devices, const char *name, const char *path)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(node_devices, name, target, sizeof(target) - 1);

	if (length < 0)
		die_of(name);
	target[length] = '\0';
	if (symlink(target, path) < 0)
		die_of(name);
}

/*
 * The one that opens terminals: the kernel takes the devpts in the directory where it is, and the
 * directory of a mount that is a single file is not the one where it is mounted.
 */
static bool is_ptmx(const struct stat *status)
{
	return S_ISCHR(status->st_mode) && status->st_rdev == makedev(5, 2);
}

static void make_ptmx(const char *path, mode_t mode)
{
	if (mknod(path, mode, makedev(5, 2)) < 0 || chmod(path, mode & 07777) < 0)
		die(EXIT_INTERNAL, "cannot create \"%s\": %s", path, strerror(errno));
}

/*
 * A mount, not a node of ours: a change of its permissions is one here, too. What is gone meanwhile
 * is not there.
 */
static void show(int node_devices, const char *name)
{
	char source[PATH_MAX], path[PATH_MAX];
	struct stat status;

	snprintf(source, sizeof(source), "%s/%s", DEVICES, name);
	snprintf(path, sizeof(path), "dev/%s", name);
	if (fstatat(node_devices, name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			die_of(name);
	} else if (S_ISLNK(status.st_mode)) {
		copy_link(node_devices, name, path);
	} else if (is_ptmx(&status)) {
		make_ptmx(path, status.st_mode);
	} else {
		if (S_ISDIR(status.st_mode))
			make_dir(path, 0755);
		else
			make_file(path, 0600);
		if (mount(source, path, NULL, MS_BIND | MS_REC, NULL) == 0)
			return;
		if (errno != ENOENT)
			die_of(name);
		unlinkat(AT_FDCWD, path, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0);
	}
}

static void show_all(void)
{
	DIR *devices = opendir(DEVICES);
	struct dirent *entry;

	if (devices == NULL)
		die_of(".");
	while ((entry = readdir(devices)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			show(dirfd(devices), entry->d_name);
	closedir(devices);
}

static void make_mount_point(const struct bind *bind)
{
	char path[PATH_MAX];

	/* The stage holds them by the same name, without the slash. */
	snprintf(path, sizeof(path), "%s", bind->inside + 1);
	for (char *end = strchr(path + strlen(DEVICES), '/'); end != NULL;
	     end = strchr(end + 1, '/')) {
		*end = '\0';
		make_dir(path, 0755);
		*end = '/';
	}
	if (bind->is_dir)
		make_dir(path, 0755);
	else
		make_file(path, 0600);
}

void make_own_devices(const struct plan *plan)
{
	if (!has_own_devices(plan))
		return;
	make_dir("dev", 0755);
	if (mount("layercake", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=1m") < 0)
		die(EXIT_INTERNAL, "cannot mount a tmpfs for devices: %s", strerror(errno));
	show_all();
	for (size_t i = 0; i < plan->bind_count; i++)
		if (plan->binds[i].fd >= 0 && plan->binds[i].new_in_dev)
			make_mount_point(&plan->binds[i]);
}
