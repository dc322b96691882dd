/* How the launcher's native programs fail: one line on stderr, one exit code. */
#ifndef LAYERCAKE_DIE_H
#define LAYERCAKE_DIE_H

/* sysexits(3), plus what they mean to the user; the same table as for `layercake` and for steps. */
enum {
	EXIT_REQUEST = 64,	 /* the request makes no sense */
	EXIT_DAMAGED = 65,	 /* the image is damaged, or none */
	EXIT_MISSING = 66,	 /* a mount source does not exist */
	EXIT_INTERNAL = 70,	 /* the kernel refused something that ought to work */
	EXIT_FULL = 73,		 /* no room for the output */
	EXIT_INPUT = 74,	 /* the image or a source can not be read */
	EXIT_TEMPORARY = 75,	 /* a part of the image did not come in time */
	EXIT_PERMISSION = 77,	 /* the user may not do this */
	EXIT_MISCONFIGURED = 78, /* the node is not set up */
};

/* Prints "PROGRAM: MESSAGE" made printable, since names come from users, then exits. */
_Noreturn void die(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
