/*
 * The new root directory, below a tmpfs that only this mount namespace has:
 *
 *   STAGE/image   the image, as the image server serves it
 *   STAGE/skel    what the image lacks: mount points and files ch-run insists on. In a writable
 *                 image they are made
 *   STAGE/root    what ch-run gets: an overlay of both, or the image itself if it lacks nothing.
 *                 (On the overlay the kernel enforces file modes; the bare image is all readable.)
 *   STAGE/binds/N mount sources, opened as the user, read-only where asked
 *   STAGE/scratch/N  empty directories of a tmpfs, mount sources for what is writable in any image
 *   STAGE/empty   ch-run's storage directory. Without one of ours it would look into a directory
 *                 below /var/tmp that any user can make, and start the image found there.
 */
#define _GNU_SOURCE
#include "stage.h"
#include "accounts.h"
#include "adjust.h"
#include "common/die.h"
#include "mounts.h"
#include "skeleton.h"
#include "source.h"
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* ch-run binds these from the host, whatever the image has there. Also /proc, which takes no mount.
 */
static const char *const host_trees[] = {"/dev", "/sys", "/tmp"};

static void leave_out(struct bind *bind)
{
	if (bind->fd >= 0)
		close(bind->fd);
	bind->fd = -1;
}

/* A site's mount that can not be had is left out; a user's is an error. */
static void refuse(struct bind *bind, int code, const char *act, const char *thing,
		   const char *cause, const char *hint)
{
	if (!bind->site)
		die(code, "cannot %s \"%s\": %s%s", act, thing, cause, hint);
	leave_out(bind);
}

static int source_code(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
	case ENAMETOOLONG:
		return EXIT_MISSING;
	case EACCES:
	case EPERM:
		return EXIT_PERMISSION;
	default:
		return EXIT_INPUT;
	}
}

/* Runs with the user's identity. Returns an errno. */
static int open_source(struct bind *bind)
{
	struct stat status;
	char link[32];

	/* A directory first, and by that flag: it sets off automounters, which O_PATH alone does
	 * not. */
	bind->fd = open_source_path(bind->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (bind->fd < 0 && errno == ENOTDIR)
		bind->fd = open_source_path(bind->source, O_PATH | O_CLOEXEC);
	if (bind->fd < 0 || fstat(bind->fd, &status) < 0)
		return errno;
	bind->is_dir = S_ISDIR(status.st_mode);
	/* O_PATH asks for no right to the thing itself; a mount of no use is a mistake to be told.
	 */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", bind->fd);
	if (bind->is_dir)
		return access(link, X_OK) < 0 ? errno : 0;
	return access(link, R_OK) < 0 && access(link, W_OK) < 0 && access(link, X_OK) < 0 ? errno
											  : 0;
}

static const char *source_hint(int error)
{
	switch (error) {
	case EACCES:
		return " (you have no permission on this node)";
	case ELOOP:
		return " (or it leads through a link of a process in /proc)";
	default:
		return "";
	}
}

static void make_scratch(struct plan *plan)
{
	char options[64], path[64], *source;

	if (plan->scratch_size == NULL)
		return;
	make_dir("scratch", 0711);
	snprintf(options, sizeof(options), "mode=0711,size=%s", plan->scratch_size);
	if (mount("layercake", "scratch", "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		die(EXIT_INTERNAL, "cannot mount a tmpfs of %s: %s", plan->scratch_size,
		    strerror(errno));
	for (size_t i = 0; i < plan->bind_count; i++) {
		struct bind *bind = &plan->binds[i];
		if (!bind->scratch)
			continue;
		snprintf(path, sizeof(path), "scratch/%zu", i);
		make_dir(path, strcmp(bind->destination, "/var/tmp") == 0 ? 01777 : 0755);
		give_to(&plan->user, path);
		if (asprintf(&source, "%s/%s", plan->stage, path) < 0)
			die(EXIT_INTERNAL, "out of memory");
		bind->source = source;
	}
}

static void open_sources(struct plan *plan)
{
	borrow_identity(&plan->user);
	for (size_t i = 0; i < plan->bind_count; i++) {
		struct bind *bind = &plan->binds[i];
		int error = open_source(bind);
		if (error != 0)
			refuse(bind, source_code(error), "mount", bind->source, strerror(error),
			       source_hint(error));
	}
	return_identity();
}

/* The part of a path below a directory, or NULL if it is not below. */
static const char *below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 && path[length] == '/' ? path + length : NULL;
}

static bool is_at_or_below(const char *path, const char *directory)
{
	return strcmp(path, directory) == 0 || below(path, directory) != NULL;
}

/* ch-run executes what /proc/self/fd has, which must be ours. */
static bool is_in_proc(const char *path)
{
	return is_at_or_below(path, "/proc");
}

/* Follows the destination inside the image, where it may be missing. */
static void locate_in_image(int image, struct bind *bind)
{
	struct place place;
	int error = find_in_tree(image, bind->destination, &place);

	if (error == 0 && place.path[0] == '\0')
		refuse(bind, EXIT_REQUEST, "mount on", bind->destination,
		       "it is the root directory of the image", "");
	else if (error == 0 && is_in_proc(place.path))
		refuse(bind, EXIT_REQUEST, "mount on", bind->destination,
		       "nothing can be mounted on /proc or below it", "");
	else if (error != 0 && error != ENOTDIR && error != ELOOP && error != ENAMETOOLONG)
		die(EXIT_INPUT, "cannot look up \"%s\" in the image: %s", bind->destination,
		    strerror(error));
	else if (error != 0)
		refuse(bind, EXIT_REQUEST, "mount on", bind->destination, strerror(error),
		       " in the image");
	memcpy(bind->inside, place.path, sizeof(bind->inside));
}

static void require_kind(struct bind *bind, const struct place *place)
{
	if (S_ISDIR(place->mode) != bind->is_dir)
		refuse(bind, EXIT_REQUEST, "mount on", bind->destination,
		       bind->is_dir ? "the source is a directory, this is none"
				    : "the source is no directory, this is one",
		       "");
}

/* A destination inside an earlier mount has to be there already: we never write to sources. */
static void locate_in_source(const struct plan *plan, struct bind *bind, int tree, const char *path)
{
	struct place place;

	borrow_identity(&plan->user);
	int error = find_in_tree(tree, path, &place);
	return_identity();
	if (error != 0 || !place.exists) {
		refuse(bind, EXIT_REQUEST, "mount on", bind->destination,
		       strerror(error != 0 ? error : ENOENT),
		       " (it lies in another mount: create it there first)");
		return;
	}
	require_kind(bind, &place);
	size_t prefix = strlen(bind->inside) - strlen(path);
	if (prefix + strlen(place.path) < sizeof(bind->inside))
		strcpy(bind->inside + prefix, place.path);
}

/* Whether anything but an empty directory is at a path, in which links are not followed. */
static bool has_content(int tree, const char *path)
{
	int fd = openat(tree, path + 1, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (directory == NULL) {
		int error = errno;
		if (fd >= 0)
			close(fd);
		return error != ENOENT;
	}
	do
		entry = readdir(directory);
	while (entry != NULL &&
	       (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	closedir(directory);
	return entry != NULL;
}

/*
 * Whether a bind that yields would be there without it, or hide what an image has. An empty
 * directory of an image is where something is to be mounted.
 */
static bool must_yield(const struct plan *plan, size_t index, int image)
{
	const struct bind *bind = &plan->binds[index];

	for (size_t i = 0; i < plan->bind_count; i++)
		if (i != index && plan->binds[i].fd >= 0 && !plan->binds[i].scratch &&
		    is_at_or_below(bind->inside, plan->binds[i].inside))
			return true;
	for (size_t i = 0; i < sizeof(host_trees) / sizeof(host_trees[0]); i++)
		if (is_at_or_below(bind->inside, host_trees[i]))
			return true;
	int skeleton_tree = open("skel", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool made = faccessat(skeleton_tree, bind->inside + 1, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	close(skeleton_tree);
	return made || has_content(image, bind->inside);
}

/* Finds or makes where a mount is to go. Returns whether anything is beside the image. */
static bool prepare_destination(const struct plan *plan, size_t index,
				const struct skeleton *skeleton)
{
	struct bind *bind = &plan->binds[index];
	struct place place;
	const char *rest;

	if (bind->yields && must_yield(plan, index, skeleton->image)) {
		leave_out(bind);
		return false;
	}
	for (size_t i = index; i > 0; i--) { /* the nearest above is the latest before */
		struct bind *outer = &plan->binds[i - 1];
		if (outer->fd >= 0 && (rest = below(bind->inside, outer->inside)) != NULL) {
			if (outer->scratch)
				make_in_tree(outer->fd, &plan->user, rest, bind->is_dir, 0755);
			locate_in_source(plan, bind, outer->fd, rest);
			return false;
		}
	}
	for (size_t i = 0; i < sizeof(host_trees) / sizeof(host_trees[0]); i++) {
		if ((rest = below(bind->inside, host_trees[i])) != NULL) {
			int tree = open(host_trees[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
			locate_in_source(plan, bind, tree, rest);
			close(tree);
			return false;
		}
	}
	int beside = open("skel", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int error = find_in_tree(beside, bind->inside, &place);
	close(beside);
	if (error == 0 && !place.exists)
		error = find_in_tree(skeleton->image, bind->inside, &place);
	if (error != 0) {
		refuse(bind, EXIT_REQUEST, "mount on", bind->destination, strerror(error),
		       " in the image");
		return false;
	}
	if (place.exists) {
		require_kind(bind, &place);
		return false;
	}
	if (bind->scratch) {
		leave_out(bind);
		return false;
	}
	return add_to_skeleton(skeleton, bind->inside, bind->is_dir, bind->is_dir ? 0755 : 0644);
}

/* A mount comes after those it lies in; of two on one place the later given wins. */
static int compare_binds(const void *a, const void *b)
{
	const struct bind *left = a, *right = b;
	int order = strcmp(left->inside, right->inside);

	return order != 0 ? order : left->given - right->given;
}

static bool prepare_destinations(struct plan *plan, const struct skeleton *skeleton)
{
	bool beside = false;

	for (size_t i = 0; i < plan->bind_count; i++)
		if (plan->binds[i].fd >= 0)
			locate_in_image(skeleton->image, &plan->binds[i]);
	if (plan->bind_count > 0) /* qsort(3) takes no NULL */
		qsort(plan->binds, plan->bind_count, sizeof(plan->binds[0]), compare_binds);
	for (size_t i = 0; i < plan->bind_count; i++)
		if (plan->binds[i].fd >= 0)
			beside |= prepare_destination(plan, i, skeleton);
	return beside;
}

static void bind_sources(struct plan *plan)
{
	char source[32], target[PATH_MAX];

	make_dir("binds", 0711);
	for (size_t i = 0; i < plan->bind_count; i++) {
		struct bind *bind = &plan->binds[i];
		if (bind->fd < 0)
			continue;
		snprintf(source, sizeof(source), "/proc/self/fd/%d", bind->fd);
		snprintf(target, sizeof(target), "%s/binds/%zu", plan->stage, i);
		if (bind->is_dir)
			make_dir(target, 0711);
		else
			make_file(target, 0600);
		if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
			die(EXIT_INTERNAL, "cannot mount \"%s\": %s", bind->source,
			    strerror(errno));
		if (bind->writable)
			continue;
		/* Private: nothing writable may appear below it later. */
		if (mount(NULL, target, NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			die(EXIT_INTERNAL, "cannot mount \"%s\": %s", bind->source,
			    strerror(errno));
		make_read_only(target);
	}
}

/* Nothing in an image may send the overlay elsewhere. A kernel may know less, overlayfs(5). */
static int mount_overlay(void)
{
	static const char *const options[] = {
	    "lowerdir=skel:image,redirect_dir=nofollow,metacopy=off,index=off",
	    "lowerdir=skel:image,redirect_dir=nofollow",
	    "lowerdir=skel:image,redirect_dir=off",
	    "lowerdir=skel:image",
	};
	int result = -1;

	for (size_t i = 0; result < 0 && i < sizeof(options) / sizeof(options[0]); i++) {
		result = mount("overlay", "root", "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV,
			       options[i]);
		if (result < 0 && errno != EINVAL)
			break;
	}
	return result;
}

static void mount_root(bool with_skeleton)
{
	int result = with_skeleton ? mount_overlay() : mount("image", "root", NULL, MS_BIND, NULL);

	if (result < 0)
		die(errno == ENOTCONN || errno == EIO ? EXIT_INPUT : EXIT_INTERNAL,
		    "cannot mount the new root directory: %s", strerror(errno));
}

void stage_container(struct plan *plan, int image_mount)
{
	/* The images of other users' jobs, and what those have changed. */
	for (size_t i = 0; i < plan->hide_count; i++)
		detach_mounts_below(plan->hide[i]);
	if (mount("layercake", plan->stage, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0711,size=4m") <
		0 ||
	    mount(NULL, plan->stage, NULL, MS_PRIVATE, NULL) < 0 || chdir(plan->stage) < 0)
		die(EXIT_INTERNAL, "cannot mount a tmpfs on \"%s\": %s", plan->stage,
		    strerror(errno));
	make_dir("image", 0755);
	make_dir("skel", 0755);
	give_to(&plan->user, "skel");
	make_dir("root", 0755);
	make_dir("empty", 0755);
	attach_mount(image_mount, "image");

	int image = open("image", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (image < 0)
		die(EXIT_INPUT, "cannot read the image: %s", strerror(errno));
	make_scratch(plan);
	open_sources(plan);
	struct skeleton skeleton = {image, plan->writable, &plan->user};
	add_accounts(&skeleton, plan->root_inside);
	bool beside = add_skeleton(&skeleton);
	beside |= plan->time_zone && adjust_time_zone(&skeleton);
	beside |= plan->root_inside && adjust_apt(&skeleton);
	beside |= prepare_destinations(plan, &skeleton);
	close(image);
	bind_sources(plan);
	mount_root(beside);
	if (chdir("/") < 0)
		die(EXIT_INTERNAL, "cannot leave \"%s\": %s", plan->stage, strerror(errno));
}
