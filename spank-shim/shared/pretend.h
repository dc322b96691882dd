/* Ids and owners in a container whose user is root inside. */
#ifndef LAYERCAKE_PRETEND_H
#define LAYERCAKE_PRETEND_H

#include "error.h"

/*
 * From here on the process and all that it starts are told that they have changed ids, groups and
 * owners, and made devices, though nothing of that was done. Such a container has one uid and one
 * gid, so the kernel refuses all others, and programs that install packages do not go on then.
 * Nothing is granted: a call is left out, never made with more rights. Needs no_new_privs.
 */
int lc_pretend_root(struct lc_error *error);

#endif
