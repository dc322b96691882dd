/* The binds and texts of a plan, and what becomes of binds that can not be had. */
#ifndef LAYERCAKE_BINDS_H
#define LAYERCAKE_BINDS_H

#include "plan.h"

/* Adds one, after all that there are. */
void add_bind(struct plan *plan, struct bind bind);
/* The same with a text, which is not copied. */
void add_text(struct texts *texts, const char *text);
/* Makes nothing of a bind. */
void leave_out(struct bind *bind);
/* A site's mount that can not be had is left out; a user's is an error, and ends the program. */
void refuse(struct bind *bind, int code, const char *act, const char *thing, const char *cause,
	    const char *hint);

#endif
