#include "error.h"

#include <stdarg.h>
#include <stdio.h>

void lc_make_printable(char *text)
{
	for (unsigned char *byte = (unsigned char *)text; *byte != '\0'; byte++)
		if (*byte < 0x20 || *byte == 0x7f)
			*byte = '?';
}

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
