/* The mounts of a request, as users write them. */
#ifndef LAYERCAKE_MOUNT_H
#define LAYERCAKE_MOUNT_H

#include "field.h"
#include "shared/error.h"
#include "shared/spec.h"

enum {
	LC_MOUNTS_MAX = 64,
	LC_IMAGE_MOUNTS_MAX = 8, /* of them */
};

/*
 * Takes the item of a --ch-mount list that *list points to, SOURCE[:DESTINATION][:ro|rw] or
 * image:NAME:DESTINATION[:ro], and moves *list behind it. Returns 0 and a mount to be cleared, or
 * -1 with an error.
 */
int lc_take_mount(const char **list, const struct lc_words *words, struct lc_mount *mount,
		  struct lc_error *error);

/*
 * Checks what a mount says, of which `item` is what the user wrote, and tidies its paths. Returns
 * 0, or -1 with an error.
 */
int lc_check_mount(struct lc_mount *mount, const char *item, struct lc_error *error);

#endif
