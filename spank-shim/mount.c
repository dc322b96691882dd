#define _GNU_SOURCE
#include "mount.h"
#include "image.h"
#include "text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of an item: "image", four of a name with tag and digest, destination, mode, and one too many. */
enum { FIELDS_MAX = 8 };

struct fields {
	char *at[FIELDS_MAX];
	size_t count;
	bool all; /* the item has no more */
	bool has_mode;
	bool read_only;
};

static void clear_fields(struct fields *fields)
{
	for (size_t i = 0; i < fields->count; i++)
		free(fields->at[i]);
}

static const char *check_destination(const char *path)
{
	if (strcmp(path, "/") == 0)
		return "nothing can be mounted on the root directory";
	if (strncmp(path, "/proc", 5) == 0 && (path[5] == '/' || path[5] == '\0'))
		return "nothing can be mounted on /proc or below it";
	return NULL;
}

int lc_check_mount(struct lc_mount *mount, const char *item, struct lc_error *error)
{
	const char *path = mount->source, *problem = NULL;

	if (mount->image && lc_check_image(mount->source, error) < 0)
		return -1;
	if (!mount->image)
		problem = lc_check_path(mount->source);
	if (problem == NULL) {
		path = mount->destination;
		problem = lc_check_path(mount->destination);
	}
	if (problem == NULL) {
		if (!mount->image)
			lc_tidy_path(mount->source);
		lc_tidy_path(mount->destination);
		problem = check_destination(mount->destination);
	}
	if (problem == NULL)
		return 0;
	return lc_fail(error, EXIT_REQUEST, "cannot mount \"%.200s\": \"%.200s\": %s", item, path,
		       problem);
}

static bool is_mode(const char *text)
{
	return strcmp(text, "ro") == 0 || strcmp(text, "rw") == 0;
}

/* Returns 0, or -1 and a problem, which is NULL without memory. */
static int take_fields(const char **list, const struct lc_words *words, struct fields *fields,
		       const char **problem)
{
	for (;;) {
		char *field = lc_take_field(list, ",:", words, problem);
		if (field == NULL)
			return -1;
		fields->at[fields->count++] = field;
		if (**list != ':' || fields->count == FIELDS_MAX)
			break;
		(*list)++;
	}
	fields->all = **list != ':';
	const char *last = fields->at[fields->count - 1];
	fields->has_mode = fields->count > 1 && is_mode(last);
	fields->read_only = fields->has_mode && strcmp(last, "ro") == 0;
	return 0;
}

/*
 * Whether a source is an image, and not the directory "image" from where the command is called:
 * that has a destination behind it, which is absolute, or a mode, or nothing.
 */
static bool names_image(const struct fields *fields)
{
	size_t count = fields->count - (fields->has_mode ? 1 : 0);

	return strcmp(fields->at[0], "image") == 0 && count > 1 && fields->at[1][0] != '/';
}

static char *join(char *const *fields, size_t count)
{
	char *joined = NULL;
	size_t size;
	FILE *out = open_memstream(&joined, &size);

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s%s", i > 0 ? ":" : "", fields[i]);
	bool failed = ferror(out) != 0;
	if (fclose(out) == 0 && !failed)
		return joined;
	free(joined);
	return NULL;
}

/* Returns what is wrong with the item, or NULL. */
static const char *read_image(const struct fields *fields, struct lc_mount *mount)
{
	size_t count = fields->count - (fields->has_mode ? 1 : 0);

	if (fields->has_mode && !fields->read_only)
		return "an image can only be mounted read-only";
	if (!fields->all || count < 3)
		return "not image:NAME[:TAG]:DESTINATION";
	mount->image = true;
	mount->source = join(fields->at + 1, count - 2);
	mount->destination = strdup(fields->at[count - 1]);
	return NULL;
}

static const char *read_path(const struct fields *fields, const struct lc_words *words,
			     struct lc_mount *mount)
{
	size_t count = fields->count - (fields->has_mode ? 1 : 0);

	if (!fields->all || fields->count > 3 || count > 2)
		return "not SOURCE[:DESTINATION][:ro|rw] (write a colon in a name as \\:)";
	mount->writable = !fields->read_only;
	mount->source = lc_make_absolute(fields->at[0], words);
	mount->destination =
	    count == 2 ? strdup(fields->at[1]) : lc_make_absolute(fields->at[0], words);
	return NULL;
}

static int read_item(const char *start, const char *end, const struct fields *fields,
		     const struct lc_words *words, struct lc_mount *mount, struct lc_error *error)
{
	char *item = strndup(start, (size_t)(end - start));
	const char *problem =
	    names_image(fields) ? read_image(fields, mount) : read_path(fields, words, mount);
	int result;

	if (item != NULL && problem != NULL)
		result = lc_fail(error, EXIT_REQUEST, "cannot mount \"%.200s\": %s", item, problem);
	else if (item == NULL || mount->source == NULL || mount->destination == NULL)
		result = lc_fail(error, EXIT_INTERNAL, "out of memory");
	else
		result = lc_check_mount(mount, item, error);
	free(item);
	return result;
}

int lc_take_mount(const char **list, const struct lc_words *words, struct lc_mount *mount,
		  struct lc_error *error)
{
	struct fields fields = {0};
	const char *start = *list, *problem = NULL;
	int result;

	*mount = (struct lc_mount){0};
	if (take_fields(list, words, &fields, &problem) == 0)
		result = read_item(start, *list, &fields, words, mount, error);
	else if (problem != NULL)
		result =
		    lc_fail(error, EXIT_REQUEST, "cannot mount \"%.200s\": %s", start, problem);
	else
		result = lc_fail(error, EXIT_INTERNAL, "out of memory");
	if (result < 0)
		lc_mount_clear(mount);
	clear_fields(&fields);
	return result;
}
