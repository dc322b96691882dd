#define _GNU_SOURCE
#include "replace.h"
#include "binds.h"
#include "common/die.h"
#include "shared/spec.h"
#include "tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { REPLACED_MAX = 256 }; /* each is a mount */

void add_replacement(struct plan *plan, const char *text)
{
	struct lc_mount mount;

	if (lc_spec_parse_mount(text, strlen(text), &mount) < 0 || mount.image ||
	    mount.source[0] != '/' || mount.destination[0] != '/' ||
	    strchr(mount.destination + 1, '/') != NULL)
		die(EXIT_REQUEST, "cannot read the library \"%s\": it is SOURCE:/NAME:ro", text);
	plan->replacements = reallocarray(plan->replacements, plan->replacement_count + 1,
					  sizeof(*plan->replacements));
	if (plan->replacements == NULL)
		die(EXIT_INTERNAL, "out of memory");
	plan->replacements[plan->replacement_count++] =
	    (struct replacement){mount.source, mount.destination + 1};
}

/* Also by another name, as /lib is one of /usr/lib. */
static bool is_mounted_on(const struct plan *plan, int image, const char *path)
{
	struct place place;

	for (size_t i = 0; i < plan->bind_count; i++)
		if (plan->binds[i].destination != NULL &&
		    find_in_tree(image, plan->binds[i].destination, &place) == 0 &&
		    strcmp(place.path, path) == 0)
			return true;
	return false;
}

static void replace_in(struct plan *plan, int image, const char *directory, size_t *count)
{
	char path[PATH_MAX];
	struct place place;

	for (size_t i = 0; i < plan->replacement_count; i++) {
		const struct replacement *library = &plan->replacements[i];
		if (snprintf(path, sizeof(path), "%s/%s", directory, library->name) >=
			(int)sizeof(path) ||
		    find_in_tree(image, path, &place) != 0 || !place.exists ||
		    !S_ISREG(place.mode) || is_mounted_on(plan, image, place.path))
			continue;
		if (++*count > REPLACED_MAX)
			die(EXIT_MISCONFIGURED,
			    "cannot replace more than %d libraries of the image "
			    "(tell the site: its profiles and devices name too many)",
			    REPLACED_MAX);
		const char *destination = strdup(place.path);
		if (destination == NULL)
			die(EXIT_INTERNAL, "out of memory");
		add_bind(plan, (struct bind){.source = library->source,
					     .destination = destination,
					     .site = true});
	}
}

void find_replaced(struct plan *plan, int image)
{
	struct place place;
	size_t count = 0;

	if (plan->replacement_count == 0)
		return;
	borrow_identity(&plan->user);
	for (size_t i = 0; i < plan->library_directories.count; i++)
		if (find_in_tree(image, plan->library_directories.list[i], &place) == 0 &&
		    place.exists && S_ISDIR(place.mode))
			replace_in(plan, image, place.path, &count);
	return_identity();
}
