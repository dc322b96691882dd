/* Users and groups that the container knows: those of the image, and the job's user among them. */
#ifndef LAYERCAKE_ACCOUNTS_H
#define LAYERCAKE_ACCOUNTS_H

#include "plan.h"
#include "skeleton.h"

/*
 * Makes what the container is to have as /etc/passwd and /etc/group: what is in those of the image,
 * which may be hostile, with the user's own lines in place of those that would contradict them.
 * The plan's other users are there where the node has them. With root_inside, root is the user. In
 * a writable image they are changed, where they lack own lines; else they are files of the stage,
 * `passwd` and `group`.
 */
void add_accounts(const struct plan *plan, const struct skeleton *skeleton);

#endif
