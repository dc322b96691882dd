/* What a process can still ask of the kernel. */
#ifndef LAYERCAKE_SANDBOX_H
#define LAYERCAKE_SANDBOX_H

/*
 * From here on all threads can only read and write what is open, and manage memory that is not
 * executable; all else fails with EPERM. Needs no_new_privs, seccomp(2).
 */
void enter_sandbox(void);

#endif
