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

static const char *copy(const char *path)
{
	const char *copied = strdup(path);

	if (copied == NULL)
		die(EXIT_INTERNAL, "out of memory");
	return copied;
}

/* Where the plan mounts something, by the names that lead there directly: /lib may be a link. */
static void list_taken(const struct plan *plan, int image, struct texts *taken)
{
	struct place place;

	for (size_t i = 0; i < plan->bind_count; i++)
		if (plan->binds[i].destination != NULL &&
		    find_in_tree(image, plan->binds[i].destination, &place) == 0)
			add_text(taken, copy(place.path));
}

static bool is_taken(const struct texts *taken, const char *path)
{
	for (size_t i = 0; i < taken->count; i++)
		if (strcmp(taken->list[i], path) == 0)
			return true;
	return false;
}

static void replace_in(struct plan *plan, int image, const char *directory, struct texts *taken,
		       size_t given)
{
	char path[PATH_MAX];
	struct place place;

	for (size_t i = 0; i < plan->replacement_count; i++) {
		const struct replacement *library = &plan->replacements[i];
		if (snprintf(path, sizeof(path), "%s/%s", directory, library->name) >=
			(int)sizeof(path) ||
		    find_in_tree(image, path, &place) != 0 || !place.exists ||
		    !S_ISREG(place.mode) || is_taken(taken, place.path))
			continue;
		if (plan->bind_count - given >= REPLACED_MAX)
			die(EXIT_MISCONFIGURED,
			    "cannot replace more than %d libraries of the image "
			    "(tell the site: its profiles and devices name too many)",
			    REPLACED_MAX);
		add_text(taken, copy(place.path));
		add_bind(plan, (struct bind){.source = library->source,
					     .destination = copy(place.path),
					     .site = true});
	}
}

void find_replaced(struct plan *plan, int image)
{
	size_t given = plan->bind_count;
	struct texts taken = {0};
	struct place place;

	if (plan->replacement_count == 0)
		return;
	borrow_identity(&plan->user);
	list_taken(plan, image, &taken);
	for (size_t i = 0; i < plan->library_directories.count; i++)
		if (find_in_tree(image, plan->library_directories.list[i], &place) == 0 &&
		    place.exists && S_ISDIR(place.mode))
			replace_in(plan, image, place.path, &taken, given);
	return_identity();
	for (size_t i = 0; i < taken.count; i++)
		free((char *)taken.list[i]);
	free(taken.list);
}
