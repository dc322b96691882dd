#define _GNU_SOURCE
#include "destinations.h"
#include "binds.h"
#include "common/die.h"
#include "devices.h"
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ch-run binds these from the host, whatever the image has there. */
static const char *const host_trees[] = {"/dev", "/proc", "/sys", "/tmp", NULL};

/* ch-run executes what /proc/self/fd has, which must be ours. */
static bool is_in_proc(const char *path)
{
	return is_at_or_below(path, "/proc");
}

/* The host's tree that a path is in or the top of, or NULL. */
static const char *host_tree_of(const char *path)
{
	for (size_t i = 0; host_trees[i] != NULL; i++)
		if (is_at_or_below(path, host_trees[i]))
			return host_trees[i];
	return NULL;
}

/* Follows the destination inside the image and what is beside it, where it may be missing. */
static void locate_in_image(const struct trees *trees, struct bind *bind)
{
	struct place place;
	int error = find_in_trees(trees, bind->destination, &place);

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
				    : "the source is not a directory, but this is",
		       "");
}

/* A destination inside an earlier mount has to be there already: we never write to sources. */
static void locate_in_source(const struct plan *plan, struct bind *bind, int tree, const char *path,
			     const char *hint)
{
	struct place place;

	borrow_identity(&plan->user);
	int error = find_in_tree(tree, path, &place);
	return_identity();
	if (error != 0 || !place.exists) {
		refuse(bind, EXIT_REQUEST, "mount on", bind->destination,
		       strerror(error != 0 ? error : ENOENT), hint);
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
static bool must_yield(const struct plan *plan, size_t index, const struct trees *trees)
{
	const struct bind *bind = &plan->binds[index];
	struct place place;

	for (size_t i = 0; i < plan->bind_count; i++)
		if (i != index && plan->binds[i].fd >= 0 && !plan->binds[i].scratch &&
		    is_at_or_below(bind->inside, plan->binds[i].inside))
			return true;
	if (host_tree_of(bind->inside) != NULL || find_in_trees(trees, bind->inside, &place) != 0)
		return true;
	return place.exists && (place.tree == trees->upper || has_content(place.tree, place.path));
}

/* Of two mounts on one place that is yet to be made, the later may hide the earlier only. */
static void require_same_kind(const struct plan *plan, size_t index)
{
	struct bind *bind = &plan->binds[index];

	for (size_t i = 0; i < index; i++) {
		const struct bind *earlier = &plan->binds[i];
		struct place place = {.mode = earlier->is_dir ? S_IFDIR : S_IFREG};
		if (earlier->fd >= 0 && strcmp(earlier->inside, bind->inside) == 0)
			require_kind(bind, &place);
	}
}

/* In what a container has of the node, all has to be there; but /dev may be made anew. */
static void locate_on_node(const struct plan *plan, size_t index, const char *tree)
{
	struct bind *bind = &plan->binds[index];
	const char *rest = below(bind->inside, tree);
	int fd = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		die(EXIT_INTERNAL, "cannot open \"%s\": %s", tree, strerror(errno));
	bind->new_in_dev = strcmp(tree, DEVICES) == 0 && is_new_device(fd, rest);
	if (bind->new_in_dev)
		require_same_kind(plan, index);
	else
		locate_in_source(plan, bind, fd, rest,
				 strcmp(tree, "/tmp") == 0
				     ? " (create it there first)"
				     : " (this is the node's, where nothing can be made)");
	close(fd);
}

/* Finds or makes where a mount is to go. Returns whether anything is beside the image. */
static bool prepare_destination(const struct plan *plan, size_t index,
				const struct skeleton *skeleton, const struct trees *trees)
{
	struct bind *bind = &plan->binds[index];
	struct place place;
	const char *rest, *host_tree = host_tree_of(bind->inside);

	if ((bind->yields && must_yield(plan, index, trees)) ||
	    (bind->scratch && host_tree != NULL)) {
		leave_out(bind);
		return false;
	}
	for (size_t i = index; i > 0; i--) { /* the nearest above is the latest before */
		struct bind *outer = &plan->binds[i - 1];
		if (outer->fd >= 0 && (rest = below(bind->inside, outer->inside)) != NULL) {
			if (outer->scratch)
				make_in_tree(outer->fd, &plan->user, rest, bind->is_dir, 0755);
			locate_in_source(plan, bind, outer->fd, rest,
					 " (it lies in another mount: create it there first)");
			return false;
		}
	}
	if (host_tree != NULL && below(bind->inside, host_tree) != NULL) {
		locate_on_node(plan, index, host_tree);
		return false;
	}
	int error = find_in_trees(trees, bind->inside, &place);
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

bool prepare_destinations(struct plan *plan, const struct skeleton *skeleton)
{
	struct trees trees = {.upper = open("skel", O_PATH | O_DIRECTORY | O_CLOEXEC),
			      .lower = skeleton->image,
			      .hidden = host_trees};
	bool beside = false;

	if (trees.upper < 0)
		die(EXIT_INTERNAL, "cannot open \"skel\": %s", strerror(errno));
	for (size_t i = 0; i < plan->bind_count; i++)
		if (plan->binds[i].fd >= 0)
			locate_in_image(&trees, &plan->binds[i]);
	if (plan->bind_count > 0) /* qsort(3) takes no NULL */
		qsort(plan->binds, plan->bind_count, sizeof(plan->binds[0]), compare_binds);
	for (size_t i = 0; i < plan->bind_count; i++)
		if (plan->binds[i].fd >= 0)
			beside |= prepare_destination(plan, i, skeleton, &trees);
	close(trees.upper);
	return beside;
}
