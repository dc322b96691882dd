/* The holder's own mount namespace, and what is mounted in it. */
#ifndef LAYERCAKE_MOUNTS_H
#define LAYERCAKE_MOUNTS_H

/*
 * Enters a new mount namespace, made from the job's own if there is one and else from the node's.
 * Returns a detached copy of the image's mount, which is in no namespace yet.
 */
int enter_private_mounts(int job_namespace, const char *image);
/* Attaches what enter_private_mounts returned. */
void attach_mount(int mount_fd, const char *target);
/* Takes every mount below a directory out of this mount namespace. */
void detach_mounts_below(const char *directory);
/* Makes a mount and all below it read-only, and proves it. */
void make_read_only(const char *target);

#endif
