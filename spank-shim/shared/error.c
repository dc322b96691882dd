#include "error.h"
#include "printable.h"

#include <stdarg.h>
#include <stdio.h>

int lc_fail(struct lc_error *error, int code, const char *format, ...)
{
	va_list arguments;

	error->code = code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	lc_make_printable(error->text);
	return -1;
}
