/* The start of a process that is to outlive the launcher. */
#ifndef LAYERCAKE_SESSION_H
#define LAYERCAKE_SESSION_H

/* Leaves the launcher's session, signal handling and umask behind. */
void start_own_session(void);

#endif
