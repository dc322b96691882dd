/* The start of a process that is to outlive the launcher. */
#ifndef LAYERCAKE_SESSION_H
#define LAYERCAKE_SESSION_H

/* Leaves the launcher's session, signal handling and umask behind. */
void start_own_session(void);

/* Closes all descriptors from this one on. Returns 0, or -1 with errno. */
int close_from(int first);
/* The same where the kernel has no call for it. */
int close_listed_from(int first);

#endif
