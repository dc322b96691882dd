/* Comparing what an image server answers. */
#ifndef LAYERCAKE_TEST_ANSWERS_H
#define LAYERCAKE_TEST_ANSWERS_H

#include "image/image.h"

#include <stdbool.h>
#include <string.h>

static inline bool same(const struct answer *one, const struct answer *other)
{
	if (one->kind != other->kind || one->size != other->size)
		return false;
	switch (one->kind) {
	case ENTRY:
		return memcmp(&one->entry, &other->entry, sizeof(one->entry)) == 0;
	case ATTRIBUTES:
		return memcmp(&one->attributes, &other->attributes, sizeof(one->attributes)) == 0;
	case LINK:
		return strcmp(one->bytes, other->bytes) == 0;
	case BYTES:
		return one->size == 0 || memcmp(one->bytes, other->bytes, one->size) == 0;
	default:
		return true;
	}
}

#endif
