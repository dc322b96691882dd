/* One error: filled where it happens, passed up unchanged, shown once by whoever knows how. */
#ifndef LAYERCAKE_ERROR_H
#define LAYERCAKE_ERROR_H

#include "exits.h"

struct lc_error {
	int code; /* what the task exits with */
	char text[2048];
};

/* Fills in an error and returns -1. Parts of it may come from users: it is made printable. */
int lc_fail(struct lc_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
