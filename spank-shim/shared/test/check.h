/* The little that the tests share. */
#ifndef LAYERCAKE_CHECK_H
#define LAYERCAKE_CHECK_H

#include <stdbool.h>
#include <stdio.h>

static int passed, failed;

#define CHECK(condition) check(condition, #condition, __FILE__, __LINE__)
/* With words for what should be, where the condition does not tell. */
#define EXPECT(condition, what) check(condition, what, __FILE__, __LINE__)

static inline bool check(bool holds, const char *text, const char *file, int line)
{
	holds ? passed++ : failed++;
	if (!holds)
		printf("%s:%d: FAILED: %s\n", file, line, text);
	return holds;
}

static inline int summary(void)
{
	printf("%d passed, %d failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}

#endif
