/* The job's user: who it is, and becoming it. */
#ifndef LAYERCAKE_USER_H
#define LAYERCAKE_USER_H

#include <sys/types.h>

/* The job's user, as the node's user database has it. */
struct user {
	uid_t uid;
	gid_t gid;
	char *name;
	char *home;
	char *shell;
	gid_t *groups; /* all, the primary one included */
	int group_count;
};

void find_user(uid_t uid, struct user *user);
/* Puts on the user's identity for file access, and takes it off again. */
void borrow_identity(const struct user *user);
void return_identity(void);
/* For good. */
void become_user(const struct user *user);

#endif
