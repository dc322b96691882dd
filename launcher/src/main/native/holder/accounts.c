#define _GNU_SOURCE
#include "accounts.h"
#include "common/die.h"
#include "merge.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20 }; /* what is behind it in a file of the image does not count */

/* --- what the image has --- */

static int open_in_tree(int tree, const char *path)
{
	struct place place;
	struct stat status;
	int error = find_in_tree(tree, path, &place);

	if (error == 0 && !S_ISREG(place.mode))
		error = ENOENT;
	/* A tree that somebody else changes meanwhile may have anything there by now. */
	int fd = error != 0 ? -1
			    : openat(tree, place.path + 1,
				     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (error == 0 && (fd < 0 || fstat(fd, &status) < 0))
		error = errno;
	if (error == 0 && S_ISREG(status.st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	errno = error != 0 ? error : ENOENT;
	return -1;
}

/* Whether a file that cannot be read is the image's own way of having none. */
static bool is_none(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG ||
	       error == EACCES;
}

static ssize_t fill(int fd, char *text)
{
	size_t used = 0;
	ssize_t n = 1;

	while (n > 0 && used < TEXT_MAX) {
		n = read(fd, text + used, TEXT_MAX - used);
		used += n > 0 ? (size_t)n : 0;
	}
	return n < 0 ? -1 : (ssize_t)used;
}

/* All of a file, read as the user: that is whom it is for. */
static char *read_from_tree(const struct user *user, int tree, const char *path, size_t *size)
{
	char *text = malloc(TEXT_MAX);
	ssize_t length = 0;

	if (text == NULL)
		die(EXIT_INTERNAL, "out of memory");
	borrow_identity(user);
	int fd = open_in_tree(tree, path);
	if (fd >= 0)
		length = fill(fd, text);
	int error = fd < 0 || length < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	return_identity();
	if (error != 0 && !is_none(error))
		die(EXIT_INPUT, "cannot read \"%s\" in the image: %s", path, strerror(error));
	*size = error != 0 ? 0 : (size_t)length;
	return text;
}

/* --- what becomes of it --- */

static void write_staged(const char *name, const struct text *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0 || write(fd, text->bytes, text->size) != (ssize_t)text->size || close(fd) < 0)
		die(EXIT_INTERNAL, "cannot write \"%s\": %s", name, strerror(errno));
}

static void add(const struct skeleton *skeleton, struct accounts *accounts)
{
	size_t size;
	char *image = read_from_tree(skeleton->user, skeleton->image, accounts->path, &size);
	struct text merged;

	close_text(&accounts->first);
	close_text(&accounts->last);
	merge_accounts(accounts, image, size, &merged);
	if (!skeleton->writable)
		write_staged(strrchr(accounts->path, '/') + 1, &merged);
	/* What programs inside have made of them since stays. */
	else if (!has_lines(image, size, accounts->first.bytes) ||
		 !has_lines(image, size, accounts->last.bytes))
		add_file(skeleton, accounts->path, merged.bytes, merged.size);
	free(merged.bytes);
	free(accounts->first.bytes);
	free(accounts->last.bytes);
	free(image);
}

/* The user's shell, if the image has it. */
static const char *find_shell(const struct user *user, int tree)
{
	struct place place;

	borrow_identity(user);
	bool found = user->shell[0] == '/' && find_in_tree(tree, user->shell, &place) == 0 &&
		     place.exists && S_ISREG(place.mode) && (place.mode & 0111) != 0;
	return_identity();
	return found ? user->shell : "/bin/sh";
}

/* Such as daemons run as, whose names programs want to look up. */
static void add_other_users(const struct plan *plan, struct accounts *users)
{
	for (size_t i = 0; i < plan->users.count; i++) {
		const struct passwd *other = getpwnam(plan->users.list[i]);
		if (other == NULL || other->pw_uid == 0 || other->pw_uid == plan->user.uid)
			continue;
		fprintf(users->last.file, "%s:x:%u:%u::%s:/usr/sbin/nologin\n", plan->users.list[i],
			other->pw_uid, other->pw_gid, other->pw_dir);
		users->names[users->name_count++] = plan->users.list[i];
	}
}

static void add_users(const struct plan *plan, const struct skeleton *skeleton)
{
	const struct user *user = skeleton->user;
	bool root_inside = plan->root_inside;
	const char *shell = find_shell(user, skeleton->image);
	struct accounts users = {
	    .path = "/etc/passwd",
	    .fields = PASSWD_FIELDS,
	    .names = calloc(plan->users.count + 2, sizeof(char *)),
	    .id = user->uid,
	    .root = "root:x:0:0:root:/root:/bin/sh\n",
	    .nobody = "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
	};

	if (users.names == NULL)
		die(EXIT_INTERNAL, "out of memory");
	open_text(&users.first);
	open_text(&users.last);
	if (root_inside) { /* first, for there may be others with the id 0 */
		fprintf(users.first.file, "root:x:0:0:root:%s:%s\n", user->home, shell);
		users.names[users.name_count++] = "root";
	}
	fprintf(users.last.file, "%s:x:%u:%u::%s:%s\n", user->name, user->uid, user->gid,
		user->home, shell);
	users.names[users.name_count++] = user->name;
	add_other_users(plan, &users);
	add(skeleton, &users);
	free(users.names);
}

/* Those that have a name on this node. */
static void add_groups(const struct skeleton *skeleton)
{
	const struct user *user = skeleton->user;
	struct accounts groups = {
	    .path = "/etc/group",
	    .fields = GROUP_FIELDS,
	    .names = calloc((size_t)user->group_count + 1, sizeof(char *)),
	    .id = user->gid,
	    .root = "root:x:0:\n",
	    .nobody = "nogroup:x:65534:\n",
	};

	if (groups.names == NULL)
		die(EXIT_INTERNAL, "out of memory");
	open_text(&groups.first);
	open_text(&groups.last);
	for (int i = 0; i < user->group_count; i++) {
		const struct group *group = getgrgid(user->groups[i]);
		if (group == NULL || group->gr_gid == 0)
			continue;
		fprintf(groups.last.file, "%s:x:%u:%s\n", group->gr_name, group->gr_gid,
			group->gr_gid == user->gid ? "" : user->name);
		groups.names[groups.name_count] = strdup(group->gr_name);
		if (groups.names[groups.name_count++] == NULL)
			die(EXIT_INTERNAL, "out of memory");
	}
	add(skeleton, &groups);
	for (size_t i = 0; i < groups.name_count; i++)
		free((char *)groups.names[i]);
	free(groups.names);
}

void add_accounts(const struct plan *plan, const struct skeleton *skeleton)
{
	add_users(plan, skeleton);
	add_groups(skeleton);
}
