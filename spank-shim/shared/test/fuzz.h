/*
 * What the fuzzers share: each is a libFuzzer program, whose LLVMFuzzerTestOneInput() takes bytes
 * apart, gives them to what reads them from others, and insists on what must hold of the result.
 */
#ifndef LAYERCAKE_FUZZ_H
#define LAYERCAKE_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INSIST(condition) insist(condition, #condition, __FILE__, __LINE__)

static inline void insist(bool holds, const char *text, const char *file, int line)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, text);
	abort();
}

/* What is left of an input. Once it is used up, all that is taken is zeros and empty. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline uint32_t take_number(struct input *input, int bytes)
{
	uint32_t value = 0;

	for (; bytes > 0 && input->left > 0; bytes--, input->left--)
		value = value << 8 | *input->at++;
	return value;
}

/* A copy of exactly this size, to be freed: the sanitizer sees any byte that is read too far. */
static inline char *copy_text(const void *bytes, size_t size)
{
	char *text = malloc(size + 1);

	INSIST(text != NULL);
	if (size > 0)
		memcpy(text, bytes, size);
	text[size] = '\0';
	return text;
}

/* Up to the next NUL, which is taken, too; to be freed. */
static inline char *take_text(struct input *input)
{
	const uint8_t *end = input->left > 0 ? memchr(input->at, '\0', input->left) : NULL;
	size_t size = end != NULL ? (size_t)(end - input->at) : input->left;
	char *text = copy_text(input->at, size);

	input->at += size + (end != NULL);
	input->left -= size + (end != NULL);
	return text;
}

#endif
