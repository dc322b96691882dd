#define _DEFAULT_SOURCE
#include "map.h"
#include "common/little.h"

#include <string.h>

static const uint8_t MAGIC[8] = {'L', 'C', 'K', 'M', 'A', 'P', 0, 1};

static uint64_t end_of(const struct map *map, uint32_t chunk)
{
	return u64_at(map->ends + (size_t)chunk * 8);
}

bool map_parse(struct map *map, const uint8_t *bytes, size_t length)
{
	uint64_t last = 0;

	if (length < MAP_HEADER_BYTES || length > MAP_MAX_BYTES ||
	    memcmp(bytes, MAGIC, sizeof(MAGIC)) != 0 || u32_at(bytes + 12) != 0)
		return false;
	map->chunks = u32_at(bytes + 8);
	map->image_bytes = u64_at(bytes + 16);
	if (map->chunks == 0 || map->chunks > MAP_MAX_CHUNKS || map->image_bytes > INT64_MAX ||
	    length != MAP_HEADER_BYTES + (size_t)map->chunks * 9)
		return false;
	map->ends = bytes + MAP_HEADER_BYTES;
	map->states = map->ends + (size_t)map->chunks * 8;
	for (uint32_t chunk = 0; chunk < map->chunks; chunk++) {
		if (end_of(map, chunk) <= last)
			return false;
		last = end_of(map, chunk);
	}
	return last == map->image_bytes;
}

uint32_t map_chunk_at(const struct map *map, uint64_t offset)
{
	uint32_t low = 0;
	uint32_t high = map->chunks;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (end_of(map, middle) <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum presence map_state(const struct map *map, uint32_t chunk)
{
	if (chunk >= map->chunks)
		return CHUNK_INVALID;
	/* What the launcher wrote before the state must be seen by whoever sees the state. */
	uint8_t state = __atomic_load_n(map->states + chunk, __ATOMIC_ACQUIRE);
	return state <= CHUNK_GIVEN_UP ? (enum presence)state : CHUNK_INVALID;
}

enum presence map_look(const struct map *map, uint64_t offset, uint64_t length, uint32_t *chunk)
{
	*chunk = map->chunks;
	if (offset > map->image_bytes || length > map->image_bytes - offset)
		return CHUNK_INVALID;
	if (length == 0)
		return CHUNK_PRESENT;
	for (*chunk = map_chunk_at(map, offset); *chunk < map->chunks; ++*chunk) {
		enum presence state = map_state(map, *chunk);
		if (state != CHUNK_PRESENT || end_of(map, *chunk) >= offset + length)
			return state;
	}
	return CHUNK_INVALID;
}
