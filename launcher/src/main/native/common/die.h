/* How the launcher's native programs fail: one line on stderr, one exit code. */
#ifndef LAYERCAKE_DIE_H
#define LAYERCAKE_DIE_H

#include "shared/exits.h"

/* Prints "PROGRAM: MESSAGE" made printable, since names come from users, then exits. */
_Noreturn void die(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
