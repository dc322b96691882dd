/*
 * The map of an image that is being filled, as bytes, which change while they are looked at: what
 * is said of a range is what its chunks say, looked at one by one.
 */
#include "common/little.h"
#include "image/map.h"
#include "shared/test/fuzz.h"

enum { LOOK_BYTES = 17 }; /* at the end of an input: where, how much, and which change */

static enum presence look_one_by_one(const struct map *map, uint64_t offset, uint64_t length)
{
	uint64_t begin = 0;

	if (offset > map->image_bytes || length > map->image_bytes - offset)
		return CHUNK_INVALID;
	for (uint32_t chunk = 0; chunk < map->chunks; chunk++) {
		uint64_t end = u64_at(map->ends + 8 * (size_t)chunk);
		bool is_in = length > 0 && offset < end && offset + length > begin;
		if (is_in && map_state(map, chunk) != CHUNK_PRESENT)
			return map_state(map, chunk);
		begin = end;
	}
	return CHUNK_PRESENT;
}

static void compare(const struct map *map, uint64_t offset, uint64_t length)
{
	uint32_t chunk, at = map_chunk_at(map, offset);
	enum presence state = map_look(map, offset, length, &chunk);

	INSIST(state == look_one_by_one(map, offset, length));
	INSIST(chunk <= map->chunks && at <= map->chunks);
	INSIST(state == CHUNK_PRESENT || state == CHUNK_INVALID || map_state(map, chunk) == state);
	if (at < map->chunks)
		INSIST(offset < u64_at(map->ends + 8 * (size_t)at) &&
		       (at == 0 || offset >= u64_at(map->ends + 8 * (size_t)(at - 1))));
	else
		INSIST(offset >= map->image_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t map_bytes = size > LOOK_BYTES ? size - LOOK_BYTES : 0;
	const uint8_t *looks = data + map_bytes;
	uint8_t *bytes = (uint8_t *)copy_text(data, map_bytes);
	struct map map;
	uint32_t chunk;

	if (map_parse(&map, bytes, map_bytes)) {
		compare(&map, 0, map.image_bytes);
		compare(&map, u64_at(looks) % (map.image_bytes + 2), u64_at(looks + 8));
		compare(&map, u64_at(looks), u64_at(looks + 8) % (map.image_bytes + 2));
		compare(&map, u64_at(looks) % (map.image_bytes + 2),
			u64_at(looks + 8) % (map.image_bytes + 2));
		/* The launcher writes states alone; whatever it writes, looks stay in the map. */
		bytes[MAP_HEADER_BYTES + looks[16] % (map_bytes - MAP_HEADER_BYTES)] = looks[0];
		map_look(&map, u64_at(looks) % map.image_bytes, map.image_bytes, &chunk);
		map_look(&map, 0, map.image_bytes, &chunk);
	}
	free(bytes);
	return 0;
}
