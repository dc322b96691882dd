#define _GNU_SOURCE
#include "die.h"
#include "shared/printable.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void die(int code, const char *format, ...)
{
	char line[10240];
	va_list arguments;

	va_start(arguments, format);
	if (vsnprintf(line, sizeof(line), format, arguments) < 0)
		line[0] = '\0';
	va_end(arguments);
	lc_make_printable(line);
	dprintf(STDERR_FILENO, "%s: %s\n", program_invocation_short_name, line);
	exit(code);
}
