#include "names.h"

#include <stdlib.h>
#include <string.h>

enum { PATHS_MAX_BYTES = 64 << 20 };

static struct {
	uint32_t *places; /* by inode: behind 0, where its path is, counted from 1 */
	char *paths;	  /* each ends with NUL */
	size_t used;
	size_t room;
} names;

bool names_begin(uint32_t inodes)
{
	names.places = calloc((size_t)inodes + 1, sizeof(*names.places));
	return names.places != NULL;
}

const char *names_find(uint32_t inode)
{
	return names.places[inode] == 0 ? NULL : names.paths + names.places[inode] - 1;
}

static bool make_room(size_t bytes)
{
	size_t room = names.room;

	while (room - names.used < bytes)
		room = room == 0 ? 1 << 16 : 2 * room;
	if (room == names.room)
		return true;
	char *paths = room > PATHS_MAX_BYTES ? NULL : realloc(names.paths, room);
	if (paths == NULL)
		return false;
	names.paths = paths;
	names.room = room;
	return true;
}

void names_note(uint32_t inode, const char *path)
{
	size_t bytes = strlen(path) + 1;

	if (!make_room(bytes))
		return;
	memcpy(names.paths + names.used, path, bytes);
	names.places[inode] = (uint32_t)names.used + 1;
	names.used += bytes;
}
