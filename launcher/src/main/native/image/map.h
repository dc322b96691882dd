/*
 * The map of an image file that is still being filled: which chunks are there. The launcher writes
 * it, the image server looks at it through mmap(2). The layout is in docs/protocol.md.
 */
#ifndef LAYERCAKE_MAP_H
#define LAYERCAKE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MAP_HEADER_BYTES = 24,
	MAP_MAX_CHUNKS = 1 << 20, /* five times what the largest manifest can list */
	MAP_MAX_BYTES = MAP_HEADER_BYTES + 9 * MAP_MAX_CHUNKS,
};

enum presence {
	CHUNK_ABSENT = 0,
	CHUNK_PRESENT = 1,
	CHUNK_GIVEN_UP = 2, /* the launcher cannot get it */
	CHUNK_INVALID,	    /* no such chunk, or no such state */
};

/* Points into the mapped file, which must stay mapped. */
struct map {
	uint64_t image_bytes;
	uint32_t chunks;
	const uint8_t *ends;
	const uint8_t *states;
};

/* False unless the bytes are one whole map: right magic, length, and offsets that rise. */
bool map_parse(struct map *map, const uint8_t *bytes, size_t length);

/* The chunk that holds the byte at this offset; map->chunks when it is beyond the file. */
uint32_t map_chunk_at(const struct map *map, uint64_t offset);

enum presence map_state(const struct map *map, uint32_t chunk);

/*
 * Whether `length` bytes at `offset` are there: CHUNK_PRESENT, or the state of the first chunk that
 * is not present, whose number goes to *chunk. Beyond the file is CHUNK_INVALID.
 */
enum presence map_look(const struct map *map, uint64_t offset, uint64_t length, uint32_t *chunk);

#endif
