#define _GNU_SOURCE
#include "skeleton.h"
#include "common/die.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct item {
	const char *path;
	mode_t mode;
	bool needed; /* else only replaced when ch-run would stumble over what is there */
} items[] = {
    {"/dev", S_IFDIR | 0755, true},
    {"/proc", S_IFDIR | 0755, true},
    {"/sys", S_IFDIR | 0755, true},
    {"/tmp", S_IFDIR | 01777, true},
    {"/etc/passwd", S_IFREG | 0644, true},
    {"/etc/group", S_IFREG | 0644, true},
    {"/etc/hosts", S_IFREG | 0644, true},
    {"/etc/resolv.conf", S_IFREG | 0644, true},
    {"/etc/machine-id", S_IFREG | 0444, false},
};

void make_dir(const char *path, mode_t mode)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		die(EXIT_INTERNAL, "cannot create \"%s\": %s", path, strerror(errno));
	if (chmod(path, mode) < 0) /* umask(2) */
		die(EXIT_INTERNAL, "cannot create \"%s\": %s", path, strerror(errno));
}

void make_file(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		die(EXIT_INTERNAL, "cannot create \"%s\": %s", path, strerror(errno));
	close(fd);
}

void give_to(const struct user *user, const char *path)
{
	if (lchown(path, user->uid, user->gid) < 0)
		die(EXIT_INTERNAL, "cannot give \"%s\" to %s: %s", path, user->name,
		    strerror(errno));
}

static void add_beside(const struct skeleton *skeleton, const char *path, bool is_dir, mode_t mode)
{
	char made[PATH_MAX + 8] = "skel";
	struct stat status;

	for (const char *end = strchr(path + 1, '/'); end != NULL; end = strchr(end + 1, '/')) {
		snprintf(made, sizeof(made), "skel%.*s", (int)(end - path), path);
		bool in_image =
		    fstatat(skeleton->image, made + 5, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISDIR(status.st_mode);
		make_dir(made, in_image ? status.st_mode & 01777 : 0755);
		give_to(skeleton->user, made);
	}
	snprintf(made, sizeof(made), "skel%s", path);
	if (is_dir)
		make_dir(made, mode);
	else
		make_file(made, mode);
	give_to(skeleton->user, made);
}

/* Makes one name there what it has to be; returns a descriptor of it, or -1. */
static int make_at(int directory, const char *name, bool is_dir, mode_t mode)
{
	int flags = is_dir ? O_PATH | O_DIRECTORY : O_WRONLY | O_CREAT | O_NONBLOCK;

	for (int tries = 0; tries < 2; tries++) {
		if (is_dir && mkdirat(directory, name, mode) < 0 && errno != EEXIST)
			return -1;
		int fd = openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
		if (fd >= 0)
			return fd;
		/* A link, or a file where a directory is needed. */
		if (unlinkat(directory, name, 0) < 0)
			return -1;
	}
	return -1;
}

void make_in_tree(int tree, const struct user *user, const char *path, bool is_dir, mode_t mode)
{
	char name[NAME_MAX + 1];
	int at = openat(tree, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	borrow_identity(user);
	while (at >= 0 && *path != '\0') {
		size_t length = strcspn(++path, "/");
		bool is_last = path[length] == '\0';
		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		int next = make_at(at, name, is_dir || !is_last, is_last ? mode : 0755);
		int error = errno;
		close(at);
		errno = error;
		at = next;
		path += length;
	}
	return_identity();
	if (at < 0)
		die(errno == ENOSPC || errno == EDQUOT ? EXIT_FULL : EXIT_INTERNAL,
		    "cannot make a place for a mount: \"%s\": %s", name, strerror(errno));
	close(at);
}

bool add_to_skeleton(const struct skeleton *skeleton, const char *path, bool is_dir, mode_t mode)
{
	if (skeleton->writable)
		make_in_tree(skeleton->image, skeleton->user, path, is_dir, mode);
	else
		add_beside(skeleton, path, is_dir, mode);
	return !skeleton->writable;
}

/* The mode of what is at a path, links not followed; 0 when there is nothing. */
static mode_t mode_in_image(int image, const char *path)
{
	struct stat status;

	if (fstatat(image, path, &status, AT_SYMLINK_NOFOLLOW) == 0)
		return status.st_mode;
	if (errno != ENOENT)
		die(EXIT_INPUT, "cannot read \"/%s\" in the image: %s", path, strerror(errno));
	return 0;
}

/* No symbolic links here, not even above: ch-run resolves absolute ones on the host. */
static bool image_has(int image, const struct item *item)
{
	char path[64];
	mode_t mode;

	strcpy(path, item->path + 1);
	for (char *end = strchr(path, '/'); end != NULL; end = strchr(end + 1, '/')) {
		*end = '\0';
		mode = mode_in_image(image, path);
		if (!S_ISDIR(mode))
			return mode == 0 && !item->needed;
		*end = '/';
	}
	mode = mode_in_image(image, path);
	if (mode == 0)
		return !item->needed;
	return (mode & S_IFMT) == (item->mode & S_IFMT);
}

bool add_skeleton(const struct skeleton *skeleton)
{
	bool beside = false;

	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		if (!image_has(skeleton->image, &items[i]))
			beside |= add_to_skeleton(skeleton, items[i].path, S_ISDIR(items[i].mode),
						  items[i].mode & 07777);
	return beside;
}
