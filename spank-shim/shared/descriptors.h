/* What a process has open, and the next program is not to have. */
#ifndef LAYERCAKE_DESCRIPTORS_H
#define LAYERCAKE_DESCRIPTORS_H

/* Closes all descriptors from this one on. Returns 0, or -1 with errno. */
int lc_close_from(int first);
/* The same where the kernel has no call for it. */
int lc_close_listed_from(int first);

#endif
