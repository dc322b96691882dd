#define _GNU_SOURCE
#include "image.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_NAMES                                                                                   \
	"abcdefghijklmnopqrstuvwxyz"                                                               \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ"                                                               \
	"0123456789._-"

/* Endings of files that images are pushed from, or made of. */
static const char *const endings[] = {".sqsh", ".sqfs", ".squashfs", ".sif",	".simg",
				      ".tar",  ".tgz",	".tar.gz",   ".tar.xz", ".tar.zst"};

/* Returns the ending of a file's name, or NULL. */
static const char *find_ending(const char *name)
{
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t length = strlen(name), end = strlen(endings[i]);
		if (length > end && strcmp(name + length - end, endings[i]) == 0)
			return name + length - end;
	}
	return NULL;
}

static bool is_path(const char *name)
{
	return name[0] == '/' || name[0] == '~' || strncmp(name, "./", 2) == 0 ||
	       strncmp(name, "../", 3) == 0;
}

/* [HOST[:PORT]/]PATH/NAME, as registries have it: images of ours have one owner, without a colon.
 */
static bool is_in_registry(const char *name)
{
	size_t length = strcspn(name, "/@");
	const char *colon = memchr(name, ':', length);

	if (name[length] != '/')
		return false;
	if (colon != NULL) /* a port; else a transport, which is not for us to explain */
		return colon[1 + strspn(colon + 1, "0123456789")] == '/' && colon[1] != '/';
	return name[length + 1 + strcspn(name + length + 1, "/@")] == '/';
}

/* A name for the image of a file, without its ending; what names cannot have is left out. */
static void suggest(const char *file, size_t length, char name[64])
{
	size_t used = 0;

	for (size_t i = 0; i < length && used < 63; i++)
		if (strchr(IN_NAMES, file[i]) != NULL &&
		    (used > 0 || strchr("._-", file[i]) == NULL))
			name[used++] = file[i];
	name[used] = '\0';
	if (used == 0 || strcmp(name, "none") == 0)
		strcpy(name, "NAME");
}

/* Whether a shell takes the text as one plain word. */
static bool is_plain(const char *text)
{
	return text[strspn(text, IN_NAMES "/:@+~")] == '\0';
}

static int refuse_file(const char *path, const char *ending, struct lc_error *error)
{
	size_t length = ending != NULL ? (size_t)(ending - path) : strlen(path);
	const char *file;
	char name[64];

	while (length > 0 && path[length - 1] == '/')
		length--;
	file = memrchr(path, '/', length);
	file = file != NULL ? file + 1 : path;
	suggest(file, (size_t)(path + length - file), name);
	if (ending != NULL && (strcmp(ending, ".sif") == 0 || strcmp(ending, ".simg") == 0))
		return lc_fail(error, EXIT_REQUEST,
			       "cannot run the file \"%.200s\": images are pushed first (apptainer "
			       "build --sandbox %s.d %.200s && layercake push %s.d %s, then "
			       "--ch-image=%s)",
			       path, name, is_plain(path) ? path : "FILE", name, name, name);
	return lc_fail(error, EXIT_REQUEST,
		       "cannot run the file \"%.200s\": images are pushed first (layercake push "
		       "%.200s %s, then --ch-image=%s)",
		       path, is_plain(path) ? path : "FILE", name, name);
}

static int refuse_registry(const char *reference, struct lc_error *error)
{
	const char *last = strrchr(reference, '/') + 1;
	char name[64];
	size_t length = strcspn(last, ":@"), tag = strcspn(last, "@");

	suggest(last, length, name);
	return lc_fail(
	    error, EXIT_REQUEST,
	    "cannot run \"%.200s\" from its registry: images are pushed first (layercake "
	    "push docker://%.200s %s%.*s, then --ch-image=%s%.*s)",
	    reference, reference, name, (int)(tag - length), last + length, name,
	    (int)(tag - length), last + length);
}

int lc_check_image(const char *name, struct lc_error *error)
{
	static const char allowed[] = IN_NAMES "+/:@";
	const char *ending = find_ending(name);

	if (name[0] == '\0' || strlen(name) > LC_IMAGE_MAX)
		return lc_fail(error, EXIT_REQUEST,
			       "cannot use \"%.80s\" as image: a name has 1 to %d characters", name,
			       LC_IMAGE_MAX);
	if (strstr(name, "://") != NULL) /* as in docker://; no name has two slashes together */
		return lc_fail(
		    error, EXIT_MISSING,
		    "cannot find image \"%s\": not in the store, where jobs get theirs "
		    "from (push it there once: layercake push %s; then run it by the name "
		    "that this prints)",
		    name, name);
	if (is_path(name) || (ending != NULL && strchr(name, ':') == NULL))
		return refuse_file(name, ending, error);
	if (name[strspn(name, allowed)] != '\0')
		return lc_fail(error, EXIT_REQUEST,
			       "cannot use \"%s\" as image: \"%.1s\" is not allowed in a name "
			       "(names look like deb:12 or site/deb:12)",
			       name, name + strspn(name, allowed));
	if (is_in_registry(name))
		return refuse_registry(name, error);
	return 0;
}
