#define _GNU_SOURCE
#include "binds.h"
#include "common/die.h"

#include <stdlib.h>
#include <unistd.h>

void add_bind(struct plan *plan, struct bind bind)
{
	plan->binds = reallocarray(plan->binds, plan->bind_count + 1, sizeof(*plan->binds));
	if (plan->binds == NULL)
		die(EXIT_INTERNAL, "out of memory");
	bind.given = (int)plan->bind_count;
	bind.fd = -1;
	plan->binds[plan->bind_count++] = bind;
}

void add_text(struct texts *texts, const char *text)
{
	texts->list = reallocarray(texts->list, texts->count + 1, sizeof(*texts->list));
	if (texts->list == NULL)
		die(EXIT_INTERNAL, "out of memory");
	texts->list[texts->count++] = text;
}

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
		die(bind->needed ? EXIT_MISCONFIGURED : code, "cannot %s \"%s\": %s%s", act, thing,
		    cause, hint);
	leave_out(bind);
}
