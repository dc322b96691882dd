/* Opening mount sources, as the user who named them. */
#ifndef LAYERCAKE_SOURCE_H
#define LAYERCAKE_SOURCE_H

/*
 * As open(2) with O_PATH, but refuses, with ELOOP, links of /proc that lead elsewhere than their
 * text. Runs with the user's identity. Returns a descriptor, or -1 with errno.
 */
int open_source_path(const char *path, int flags);
/* The same where the kernel has no openat2(2), before 5.6. */
int open_step_by_step(const char *path, int flags);

#endif
