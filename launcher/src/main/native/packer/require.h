/* What has to be so; else the program ends with one line that says what is not. */
#ifndef LAYERCAKE_REQUIRE_H
#define LAYERCAKE_REQUIRE_H

#include <stdbool.h>

/* Of a call of libsquashfs, whose result this is. */
void require_ok(int result, const char *act);
void *require_memory(void *pointer);
/* Of the input. */
void require(bool is_so, const char *complaint);

#endif
