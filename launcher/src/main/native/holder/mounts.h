/* The holder's own mount namespace, and what is mounted in it. */
#ifndef LAYERCAKE_MOUNTS_H
#define LAYERCAKE_MOUNTS_H

/*
 * Returns a detached copy of an image's mount, which is in no namespace and stays so when another
 * is entered; -1 with errno.
 */
int take_mount(const char *image);
/* Enters a new mount namespace, made from the job's own if there is one and else from the node's.
 */
void enter_private_mounts(int job_namespace);
/* Attaches what take_mount returned, which stays open. */
void attach_mount(int mount_fd, const char *target);
/* Takes every mount below a directory out of this mount namespace. */
void detach_mounts_below(const char *directory);
/* Makes a mount and all below it read-only, and proves it. */
void make_read_only(const char *target);

#endif
