#define _GNU_SOURCE
#include "sources.h"
#include "binds.h"
#include "common/die.h"
#include "mounts.h"
#include "rules.h"
#include "skeleton.h"
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

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

enum { LINK_BYTES = 32 };

/* A path by which the kernel tells, and takes, what a descriptor is of. proc(5) */
static const char *link_of(int fd, char link[LINK_BYTES])
{
	snprintf(link, LINK_BYTES, "/proc/self/fd/%d", fd);
	return link;
}

/* Runs with the user's identity. Returns an errno. */
static int open_source(struct bind *bind)
{
	struct stat status;
	char link[LINK_BYTES];

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
	link_of(bind->fd, link);
	if (bind->is_dir)
		return access(link, X_OK) < 0 ? errno : 0;
	return access(link, R_OK) < 0 && access(link, W_OK) < 0 && access(link, X_OK) < 0 ? errno
											  : 0;
}

/* Where a source really is, whatever links led there. An empty path if the kernel does not say. */
static void find_place(const struct bind *bind, char place[PATH_MAX])
{
	char link[LINK_BYTES];
	ssize_t length = readlink(link_of(bind->fd, link), place, PATH_MAX - 1);

	place[length > 0 && length < PATH_MAX - 1 && place[0] == '/' ? length : 0] = '\0';
}

/* The site's own mounts are not its rules' business. The launcher has asked about images. */
static void ask_rules(const struct plan *plan, struct bind *bind)
{
	char place[PATH_MAX];

	if (plan->rule_count == 0 || bind->scratch || bind->needed || bind->image ||
	    (bind->site && !bind->yields))
		return;
	find_place(bind, place);
	const char *refusal =
	    place[0] == '\0' ? "the node does not say where it is" : rules_refuse(plan, place);
	if (refusal != NULL)
		refuse(bind, EXIT_PERMISSION, "mount", place[0] == '\0' ? bind->source : place,
		       refusal, "");
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

void make_scratch(struct plan *plan)
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

void take_images(struct plan *plan)
{
	for (size_t i = 0; i < plan->bind_count; i++) {
		struct bind *bind = &plan->binds[i];
		if (!bind->image)
			continue;
		bind->is_dir = true;
		bind->fd = take_mount(bind->source);
		if (bind->fd < 0)
			refuse(bind, EXIT_INPUT, "mount an image on", bind->destination,
			       strerror(errno), "");
	}
}

void open_sources(struct plan *plan)
{
	borrow_identity(&plan->user);
	for (size_t i = 0; i < plan->bind_count; i++) {
		struct bind *bind = &plan->binds[i];
		int error = bind->image ? 0 : open_source(bind);
		if (error != 0)
			refuse(bind, source_code(error), "mount", bind->source, strerror(error),
			       source_hint(error));
		else
			ask_rules(plan, bind);
	}
	return_identity();
}

static void bind_source(const struct bind *bind, const char *target)
{
	char link[LINK_BYTES];

	if (bind->is_dir)
		make_dir(target, 0711);
	else
		make_file(target, 0600);
	if (bind->image)
		attach_mount(bind->fd, target);
	else if (mount(link_of(bind->fd, link), target, NULL, MS_BIND | MS_REC, NULL) < 0)
		die(EXIT_INTERNAL, "cannot mount \"%s\": %s", bind->source, strerror(errno));
	if (bind->writable)
		return;
	/* Private: nothing writable may appear below it later. */
	if (mount(NULL, target, NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die(EXIT_INTERNAL, "cannot mount \"%s\": %s", bind->source, strerror(errno));
	make_read_only(target);
}

void bind_sources(struct plan *plan)
{
	char target[PATH_MAX];

	make_dir("binds", 0711);
	for (size_t i = 0; i < plan->bind_count; i++) {
		if (plan->binds[i].fd < 0)
			continue;
		snprintf(target, sizeof(target), "%s/binds/%zu", plan->stage, i);
		bind_source(&plan->binds[i], target);
	}
}
