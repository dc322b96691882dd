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

/* --- beside the image --- */

/* Names a path there, and makes the directories above it. */
static void make_way(const struct skeleton *skeleton, const char *path, char made[PATH_MAX + 8])
{
	struct stat status;
	bool in_image = true; /* until something else than a directory is in the way */

	for (const char *end = strchr(path + 1, '/'); end != NULL; end = strchr(end + 1, '/')) {
		snprintf(made, PATH_MAX + 8, "skel%.*s", (int)(end - path), path);
		in_image = in_image &&
			   fstatat(skeleton->image, made + 5, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
			   S_ISDIR(status.st_mode);
		make_dir(made, in_image ? status.st_mode & 01777 : 0755);
		give_to(skeleton->user, made);
	}
	snprintf(made, PATH_MAX + 8, "skel%s", path);
}

static void add_beside(const struct skeleton *skeleton, const char *path, bool is_dir, mode_t mode)
{
	char made[PATH_MAX + 8];

	make_way(skeleton, path, made);
	if (is_dir)
		make_dir(made, mode);
	else
		make_file(made, mode);
	give_to(skeleton->user, made);
}

static void add_file_beside(const struct skeleton *skeleton, const char *path, const char *bytes,
			    size_t size)
{
	char made[PATH_MAX + 8];

	add_beside(skeleton, path, false, 0644);
	snprintf(made, sizeof(made), "skel%s", path);
	int fd = open(made, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || close(fd) < 0)
		die(EXIT_INTERNAL, "cannot write \"%s\": %s", made, strerror(errno));
}

static void add_link_beside(const struct skeleton *skeleton, const char *path, const char *target)
{
	char made[PATH_MAX + 8];

	make_way(skeleton, path, made);
	if (symlink(target, made) < 0)
		die(EXIT_INTERNAL, "cannot create \"%s\": %s", made, strerror(errno));
	give_to(skeleton->user, made);
}

/* --- within the image --- */

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

_Noreturn static void die_within(const char *path)
{
	die(errno == ENOSPC || errno == EDQUOT ? EXIT_FULL : EXIT_INTERNAL,
	    "cannot make \"%s\" in the container: %s", path, strerror(errno));
}

/* The directory of a path, which is made where it is missing, and the name in it; -1 with errno. */
static int open_way(int tree, const char *path, char name[NAME_MAX + 1])
{
	int at = openat(tree, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (const char *end = path; at >= 0;) {
		path = end + 1;
		end = path + strcspn(path, "/");
		snprintf(name, NAME_MAX + 1, "%.*s", (int)(end - path), path);
		if (*end == '\0')
			break;
		int next = make_at(at, name, true, 0755);
		int error = errno;
		close(at);
		errno = error;
		at = next;
	}
	return at;
}

void make_in_tree(int tree, const struct user *user, const char *path, bool is_dir, mode_t mode)
{
	char name[NAME_MAX + 1];

	borrow_identity(user);
	int directory = open_way(tree, path, name);
	int made = directory < 0 ? -1 : make_at(directory, name, is_dir, mode);
	if (made < 0)
		die_within(path);
	close(made);
	close(directory);
	return_identity();
}

/* At once, as programs do it that may be at work there: either is there, the old or the new. */
static void replace_within(const struct skeleton *skeleton, const char *path, const char *bytes,
			   size_t size, const char *target)
{
	char name[NAME_MAX + 1], made[32];

	snprintf(made, sizeof(made), ".layercake.%d", (int)getpid());
	borrow_identity(skeleton->user);
	int directory = open_way(skeleton->image, path, name);
	if (directory < 0)
		die_within(path);
	if (target != NULL) {
		if (symlinkat(target, directory, made) < 0)
			die_within(path);
	} else {
		int fd = openat(directory, made, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || close(fd) < 0)
			die_within(path);
	}
	if (renameat(directory, made, directory, name) < 0) {
		int error = errno;
		unlinkat(directory, made, 0);
		errno = error;
		die_within(path);
	}
	close(directory);
	return_identity();
}

/* --- either --- */

bool add_to_skeleton(const struct skeleton *skeleton, const char *path, bool is_dir, mode_t mode)
{
	if (skeleton->writable)
		make_in_tree(skeleton->image, skeleton->user, path, is_dir, mode);
	else
		add_beside(skeleton, path, is_dir, mode);
	return !skeleton->writable;
}

bool add_file(const struct skeleton *skeleton, const char *path, const char *bytes, size_t size)
{
	if (skeleton->writable)
		replace_within(skeleton, path, bytes, size, NULL);
	else
		add_file_beside(skeleton, path, bytes, size);
	return !skeleton->writable;
}

bool add_link(const struct skeleton *skeleton, const char *path, const char *target)
{
	if (skeleton->writable)
		replace_within(skeleton, path, NULL, 0, target);
	else
		add_link_beside(skeleton, path, target);
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
