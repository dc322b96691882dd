#include "binds.h"
#include "common/die.h"

#include <unistd.h>

void leave_out(struct bind *bind)
{
	if (bind->fd >= 0)
		close(bind->fd);
	bind->fd = -1;
}

void refuse(struct bind *bind, int code, const char *act, const char *thing, const char *cause,
	    const char *hint)
{
	if (!bind->site)
		die(bind->device ? EXIT_MISCONFIGURED : code, "cannot %s \"%s\": %s%s", act, thing,
		    cause, hint);
	leave_out(bind);
}
