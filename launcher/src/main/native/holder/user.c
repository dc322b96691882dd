#define _GNU_SOURCE
#include "user.h"
#include "common/die.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

void find_user(uid_t uid, struct user *user)
{
	errno = 0;
	struct passwd *entry = getpwuid(uid);

	if (entry == NULL)
		die(EXIT_PERMISSION, "cannot find uid %u in this node's user database: %s", uid,
		    errno != 0 ? strerror(errno) : "no such user");
	if (entry->pw_uid == 0 || entry->pw_gid == 0)
		die(EXIT_PERMISSION, "cannot start a container for %s: uid and group must not be 0",
		    entry->pw_name);
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	user->name = strdup(entry->pw_name);
	user->home = strdup(entry->pw_dir);
	user->shell = strdup(entry->pw_shell);
	user->group_count = 64;
	do {
		user->groups = reallocarray(NULL, (size_t)user->group_count, sizeof(gid_t));
		if (user->name == NULL || user->home == NULL || user->shell == NULL ||
		    user->groups == NULL)
			die(EXIT_INTERNAL, "out of memory");
	} while (getgrouplist(user->name, user->gid, user->groups, &user->group_count) < 0);
}

static void set_groups(const struct user *user)
{
	if (setgroups((size_t)user->group_count, user->groups) < 0)
		die(EXIT_INTERNAL, "cannot take the groups of %s: %s", user->name, strerror(errno));
}

/*
 * All three ids, not only the effective one: a FUSE file system lets in its owner only when all of
 * them fit. The capabilities stay permitted and come back with return_identity.
 */
void borrow_identity(const struct user *user)
{
	set_groups(user);
	if (setresgid(user->gid, user->gid, user->gid) < 0 || prctl(PR_SET_KEEPCAPS, 1) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		die(EXIT_INTERNAL, "cannot become %s: %s", user->name, strerror(errno));
}

void return_identity(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, sets) < 0)
		die(EXIT_INTERNAL, "cannot read capabilities: %s", strerror(errno));
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		sets[i].effective = sets[i].permitted;
	if (syscall(SYS_capset, &header, sets) < 0 || setresuid(0, 0, 0) < 0 ||
	    setresgid(0, 0, 0) < 0 || setgroups(0, NULL) < 0 || prctl(PR_SET_KEEPCAPS, 0) < 0)
		die(EXIT_INTERNAL, "cannot become root again: %s", strerror(errno));
}

void become_user(const struct user *user)
{
	uid_t real, effective, saved;

	set_groups(user);
	if (setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		die(EXIT_INTERNAL, "cannot become %s: %s", user->name, strerror(errno));
	if (getresuid(&real, &effective, &saved) < 0 || real != user->uid ||
	    effective != user->uid || saved != user->uid || setuid(0) == 0)
		die(EXIT_INTERNAL, "cannot become %s: root came back", user->name);
}
