#include "require.h"
#include "common/die.h"

#include <sqfs/error.h>
#include <stddef.h>

void require_ok(int result, const char *act)
{
	if (result >= 0)
		return;
	if (result == SQFS_ERROR_ALLOC)
		die(EXIT_INTERNAL, "cannot %s: out of memory", act);
	die(EXIT_INTERNAL, "cannot %s: error %d of libsquashfs", act, result);
}

void *require_memory(void *pointer)
{
	if (pointer == NULL)
		die(EXIT_INTERNAL, "out of memory");
	return pointer;
}

void require(bool is_so, const char *complaint)
{
	if (!is_so)
		die(EXIT_INTERNAL, "malformed input: %s", complaint);
}
