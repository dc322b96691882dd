/* A number among a program's arguments. */
#ifndef LAYERCAKE_COUNT_H
#define LAYERCAKE_COUNT_H

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* From 1 on; 0 for what is none. */
static inline unsigned count_argument(const char *text)
{
	char *end;

	errno = 0;
	unsigned long count = strtoul(text, &end, 10);
	return *text < '0' || *text > '9' || *end != '\0' || errno != 0 || count > UINT_MAX
		   ? 0
		   : (unsigned)count;
}

#endif
