/*
 * The text of specs, docs/protocol.md: values, in which some bytes are written %XX, and mounts.
 * What a request may ask for is another question, request.h.
 */
#ifndef LAYERCAKE_SPEC_H
#define LAYERCAKE_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { LC_SPEC_MAX = 16384 }; /* without the NUL */

#define LC_SPEC_OF_DEFAULT "image=" /* begins one without an image: the job's, or the site's */
#define LC_SPEC_OF_HOST "none"	    /* not a container: the task asks to be on the host */

/* Whether a spec says which image it is for. */
static inline bool lc_spec_names_image(const char *spec)
{
	size_t length = strlen(LC_SPEC_OF_DEFAULT);

	return strncmp(spec, LC_SPEC_OF_DEFAULT, length) == 0 && spec[length] != '\0' &&
	       spec[length] != ';';
}

struct lc_mount {
	char *source; /* a path of the node, or the name of an image */
	char *destination;
	bool writable;
	bool image; /* which is never writable */
};

#define LC_IMAGE_SOURCE "image:" /* what a mount begins with whose source is an image */

/* A value, decoded and to be freed; NULL when it is not written as values are, or without memory.
 */
char *lc_spec_parse_value(const char *value, size_t length);

/*
 * Parses SOURCE:DESTINATION:MODE, two values and "ro" or "rw", or image:NAME:DESTINATION:ro; any
 * bytes but NUL can be in the paths and the name. Returns 0 and a mount to be cleared, or -1 as
 * above.
 */
int lc_spec_parse_mount(const char *value, size_t length, struct lc_mount *mount);
void lc_mount_clear(struct lc_mount *mount);

/* Where a spec is written to, and how much room is left there. */
struct lc_spec_text {
	char *at;
	size_t left;
	bool full; /* something did not fit; nothing has been written since */
};

/* As it is, and as a value. */
void lc_spec_put(struct lc_spec_text *text, const char *bytes);
void lc_spec_put_value(struct lc_spec_text *text, const char *value);
void lc_spec_put_mount(struct lc_spec_text *text, const struct lc_mount *mount);

#endif
