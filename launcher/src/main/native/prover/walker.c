#include "walker.h"
#include "common/die.h"
#include "squash/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct walker here;

void fail(int code, const char *cause)
{
	here.share->code = code;
	here.share->cause = cause;
	/* The root has no name. */
	memcpy(here.share->path, here.path, strnlen(here.path, sizeof(here.share->path) - 1));
	_exit(code);
}

void fail_beyond(const char *cause)
{
	here.path[0] = '\0';
	fail(EXIT_UNAVAILABLE, cause);
}

void fail_as_read(void)
{
	if (image_errno != 0)
		fail(EXIT_INPUT, "the file could not be read from its disk");
	fail(here.image.no_memory ? EXIT_INTERNAL : EXIT_DAMAGED, here.image.cause);
}

void *allocate(size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (memory == NULL)
		fail(EXIT_INTERNAL, "no memory");
	return memory;
}
