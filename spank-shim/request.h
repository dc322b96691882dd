/*
 * What a user asks for: the options --ch-image, --ch-mount and their kin, and the spec, their
 * canonical form in one line (docs/protocol.md).
 */
#ifndef LAYERCAKE_REQUEST_H
#define LAYERCAKE_REQUEST_H

#include "field.h"
#include "mount.h"
#include "shared/error.h"
#include "shared/spec.h"
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: nothing asked for. */
struct lc_request {
	char *image;	       /* NULL: none, or the default one */
	char *texts[LC_TEXTS]; /* NULL: not asked for */
	struct lc_mount mounts[LC_MOUNTS_MAX];
	size_t mount_count;
	bool default_image; /* that of the job or the site; asked for without saying which */
	bool root;	    /* uid 0 inside */
	bool entry_point;   /* of the image, runs the command of a step */
	bool writable;
	uint64_t writable_bytes; /* for changes to the image's files; 0: what the site says */
};

/* These return 0, or -1 with an error that names the offending part. */

/* Replaces the image by what --ch-image said. */
int lc_request_set_image(struct lc_request *request, const char *name, struct lc_error *error);

/* Replaces one of the texts. */
int lc_request_set_text(struct lc_request *request, enum lc_text which, const char *value,
			struct lc_error *error);

/*
 * Adds what --ch-mount said, a list of items with commas between (mount.h), written as field.h has
 * it. Sources may be relative. A mount replaces an earlier one on its destination.
 */
int lc_request_add_mounts(struct lc_request *request, const char *list,
			  const struct lc_words *words, struct lc_error *error);

/* Takes what --ch-writable said: a size such as 4G, or NULL for what the site says. */
int lc_request_set_writable(struct lc_request *request, const char *size, struct lc_error *error);

/* Adds to a text that is a list, of variables, devices or profiles. */
int lc_request_add_text(struct lc_request *request, enum lc_text which, const char *list,
			struct lc_error *error);

/* Replaces the home by what --ch-home said, a path as a mount's source or LC_HOME_NONE. */
int lc_request_set_home(struct lc_request *request, const char *value, const struct lc_words *words,
			struct lc_error *error);

/*
 * Adds the directory that a step starts in, unless it is visible anyway: in `home`, NULL for none,
 * in a mount, or in what was added before. What is added is all of its file system, whose top is
 * `top`, so that steps in other directories of that ask for the same container. Where there is no
 * top (NULL), and where that would show the home or hide where a mount is to go, it is the
 * directory alone. Returns whether anything was added.
 */
bool lc_request_show(struct lc_request *request, const char *directory, const char *top,
		     const char *home);

/* Adds everything of another request; its image and texts, where it has them, replace ours. */
int lc_request_merge(struct lc_request *request, const struct lc_request *other,
		     struct lc_error *error);

/* Reads a spec into an empty request. */
int lc_request_parse(struct lc_request *request, const char *spec, struct lc_error *error);

/* Whether it is for a container at all. */
bool lc_request_has_container(const struct lc_request *request);

/* Writes the spec of a request for a container. */
int lc_request_format(const struct lc_request *request, char spec[LC_SPEC_MAX + 1],
		      struct lc_error *error);

/* Empties a request. */
void lc_request_clear(struct lc_request *request);

#endif
