/* The map parser, on good maps, and on every kind of bad one. */
#define _GNU_SOURCE
#include "image/map.h"
#include "shared/test/check.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNKS = 3, LENGTH = MAP_HEADER_BYTES + 9 * CHUNKS };

/* Chunks [0, 10), [10, 300), [300, 301). The bytes are allocated: a read beyond is seen by asan. */
static uint8_t *good_map(void)
{
	static const uint8_t bytes[LENGTH] = {
	    'L',
	    'C',
	    'K',
	    'M',
	    'A',
	    'P',
	    0,
	    1,
	    CHUNKS,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0x2d,
	    1,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0, /* 301 */
	    10,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0, /* 10 */
	    0x2c,
	    1,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0, /* 300 */
	    0x2d,
	    1,
	    0,
	    0,
	    0,
	    0,
	    0,
	    0, /* 301 */
	    CHUNK_PRESENT,
	    CHUNK_ABSENT,
	    CHUNK_GIVEN_UP,
	};
	uint8_t *copy = malloc(LENGTH);

	if (copy == NULL)
		abort();
	return memcpy(copy, bytes, LENGTH);
}

static void test_looks(void)
{
	uint8_t *bytes = good_map();
	struct map map;
	uint32_t chunk;

	EXPECT(map_parse(&map, bytes, LENGTH), "a good map is one");
	EXPECT(map_chunk_at(&map, 0) == 0, "first byte");
	EXPECT(map_chunk_at(&map, 9) == 0, "last byte of a chunk");
	EXPECT(map_chunk_at(&map, 10) == 1, "first byte of the next");
	EXPECT(map_chunk_at(&map, 300) == 2, "last byte");
	EXPECT(map_chunk_at(&map, 301) == 3 && map_chunk_at(&map, UINT64_MAX) == 3, "beyond");
	EXPECT(map_look(&map, 0, 10, &chunk) == CHUNK_PRESENT, "present");
	EXPECT(map_look(&map, 301, 0, &chunk) == CHUNK_PRESENT, "nothing is present");
	EXPECT(map_look(&map, 9, 2, &chunk) == CHUNK_ABSENT && chunk == 1,
	       "reaches into what is absent");
	bytes[LENGTH - 2] = CHUNK_PRESENT;
	EXPECT(map_look(&map, 9, 2, &chunk) == CHUNK_PRESENT, "arrives");
	EXPECT(map_look(&map, 0, 301, &chunk) == CHUNK_GIVEN_UP && chunk == 2,
	       "reaches into what was given up");
	bytes[LENGTH - 1] = 3;
	EXPECT(map_look(&map, 300, 1, &chunk) == CHUNK_INVALID, "no such state");
	EXPECT(map_look(&map, 300, 2, &chunk) == CHUNK_INVALID, "beyond the file");
	EXPECT(map_look(&map, 302, 0, &chunk) == CHUNK_INVALID, "offset beyond");
	EXPECT(map_look(&map, 1, UINT64_MAX, &chunk) == CHUNK_INVALID, "length overflows");
	EXPECT(map_state(&map, 3) == CHUNK_INVALID, "no such chunk");
	free(bytes);
}

static void refuses(const char *what, size_t at, uint8_t value)
{
	uint8_t *bytes = good_map();
	struct map map;

	bytes[at] = value;
	EXPECT(!map_parse(&map, bytes, LENGTH), what);
	free(bytes);
}

static void test_refusals(void)
{
	refuses("magic", 0, 'X');
	refuses("version", 7, 2);
	refuses("no chunks", 8, 0);
	refuses("more chunks than bytes", 8, 4);
	refuses("very many chunks", 11, 0xff);
	refuses("reserved", 12, 1);
	refuses("image size", 16, 0x2e);
	refuses("negative size", 23, 0x80);
	refuses("an empty chunk", 24, 0);
	refuses("ends fall", 25, 2);
	refuses("ends are equal", 40, 0x2c);
	refuses("last end is beyond the file", 40, 0x2e);
	for (size_t length = 0; length < LENGTH; length++) {
		uint8_t *bytes = good_map();
		uint8_t *shorter = malloc(length + 1);
		struct map map;
		if (shorter == NULL)
			abort();
		memcpy(shorter, bytes, length);
		EXPECT(!map_parse(&map, shorter, length), "cut short");
		free(shorter);
		free(bytes);
	}
}

int main(void)
{
	test_looks();
	test_refusals();
	return summary();
}
