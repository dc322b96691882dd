/* What a process can still ask of the kernel. */
#ifndef LAYERCAKE_SANDBOX_H
#define LAYERCAKE_SANDBOX_H

#include <stddef.h>

/*
 * At most so many bytes of data, and no core file. Without effect under the address sanitizer,
 * which needs more than there is.
 */
void limit_memory(size_t bytes);

/*
 * From here on all threads can only read and write what is open, and manage memory that is not
 * executable; all else fails with EPERM. Needs no_new_privs, seccomp(2).
 */
void enter_sandbox(void);

#endif
