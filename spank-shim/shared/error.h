/* One error: filled where it happens, passed up unchanged, shown once by whoever knows how. */
#ifndef LAYERCAKE_ERROR_H
#define LAYERCAKE_ERROR_H

/* sysexits(3), with their meaning for a user; the launcher uses the same table. */
enum {
	LC_REQUEST = 64,       /* the request makes no sense */
	LC_UNREACHABLE = 69,   /* the launcher is not running */
	LC_INTERNAL = 70,      /* something that ought to work did not */
	LC_PERMISSION = 77,    /* refused */
	LC_MISCONFIGURED = 78, /* the node or the cluster is not set up */
};

struct lc_error {
	int code; /* what the task exits with */
	char text[2048];
};

/* Fills in an error and returns -1. Parts of it may come from users: it is made printable. */
int lc_fail(struct lc_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
