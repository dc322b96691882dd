#define _GNU_SOURCE
#include "request.h"
#include "image.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 1 PiB, in bytes. */
static const uint64_t WRITABLE_MAX = (uint64_t)1 << 50;

static int out_of_memory(struct lc_error *error)
{
	return lc_fail(error, EXIT_INTERNAL, "out of memory");
}

void lc_request_clear(struct lc_request *request)
{
	free(request->image);
	for (size_t i = 0; i < LC_TEXTS; i++)
		free(request->texts[i]);
	for (size_t i = 0; i < request->mount_count; i++)
		lc_mount_clear(&request->mounts[i]);
	*request = (struct lc_request){0};
}

int lc_request_set_image(struct lc_request *request, const char *name, struct lc_error *error)
{
	if (lc_check_image(name, error) < 0)
		return -1;
	char *copy = strdup(name);
	if (copy == NULL)
		return out_of_memory(error);
	free(request->image);
	request->image = copy;
	request->default_image = false;
	return 0;
}

bool lc_request_has_container(const struct lc_request *request)
{
	return request->image != NULL || request->default_image;
}

/* --- texts --- */

int lc_request_set_text(struct lc_request *request, enum lc_text which, const char *value,
			struct lc_error *error)
{
	const char *problem = lc_text_kinds[which].check(value);

	if (problem != NULL)
		return lc_fail(error, EXIT_REQUEST, "cannot use \"%.200s\" as %s: %s", value,
			       lc_text_kinds[which].use, problem);
	char *copy = strdup(value);
	if (copy == NULL)
		return out_of_memory(error);
	if (copy[0] == '/')
		lc_tidy_path(copy);
	free(request->texts[which]);
	request->texts[which] = copy;
	return 0;
}

int lc_request_add_text(struct lc_request *request, enum lc_text which, const char *list,
			struct lc_error *error)
{
	const char *before = request->texts[which];
	char *both = NULL;
	int result;

	if (before == NULL)
		return lc_request_set_text(request, which, list, error);
	if (asprintf(&both, "%s,%s", before, list) < 0)
		return out_of_memory(error);
	result = lc_request_set_text(request, which, both, error);
	free(both);
	return result;
}

int lc_request_set_home(struct lc_request *request, const char *value, const struct lc_words *words,
			struct lc_error *error)
{
	const char *rest = value, *problem = NULL;

	if (strcmp(value, LC_HOME_NONE) == 0)
		return lc_request_set_text(request, LC_HOME, value, error);
	char *field = lc_take_field(&rest, "", words, &problem);
	char *path = field != NULL ? lc_make_absolute(field, words) : NULL;
	int result =
	    path != NULL ? lc_request_set_text(request, LC_HOME, path, error)
	    : problem != NULL
		? lc_fail(error, EXIT_REQUEST, "cannot use \"%.200s\" as home: %s", value, problem)
		: out_of_memory(error);
	free(field);
	free(path);
	return result;
}

/* --- mounts --- */

/* Takes over a mount that has been checked, when it succeeds. */
static int add_mount(struct lc_request *request, struct lc_mount *added, struct lc_error *error)
{
	struct lc_mount *mount = NULL;
	size_t images = added->image ? 1 : 0;

	for (size_t i = 0; i < request->mount_count; i++) {
		if (strcmp(request->mounts[i].destination, added->destination) == 0)
			mount = &request->mounts[i];
		else if (request->mounts[i].image)
			images++;
	}
	if (mount == NULL && request->mount_count == LC_MOUNTS_MAX)
		return lc_fail(error, EXIT_REQUEST,
			       "cannot mount \"%.200s\": one mount too many, %d are possible",
			       added->source, LC_MOUNTS_MAX);
	if (images > LC_IMAGE_MOUNTS_MAX)
		return lc_fail(
		    error, EXIT_REQUEST,
		    "cannot mount image \"%.200s\": one image too many, %d can be mounted",
		    added->source, LC_IMAGE_MOUNTS_MAX);
	if (mount == NULL)
		mount = &request->mounts[request->mount_count++];
	lc_mount_clear(mount);
	*mount = *added;
	*added = (struct lc_mount){0};
	return 0;
}

int lc_request_add_mounts(struct lc_request *request, const char *list,
			  const struct lc_words *words, struct lc_error *error)
{
	struct lc_mount mount;

	for (;;) {
		if (*list == '\0' || *list == ',')
			return lc_fail(error, EXIT_REQUEST,
				       "cannot mount \"\": the list of mounts has an empty item "
				       "(write a comma in a name as \\,)");
		if (lc_take_mount(&list, words, &mount, error) < 0)
			return -1;
		int result = add_mount(request, &mount, error);
		lc_mount_clear(&mount);
		if (result < 0)
			return -1;
		if (*list == '\0')
			return 0;
		list++;
	}
}

/* Bytes of a size such as 512M or 4G; 0 when it is none. */
static uint64_t parse_size(const char *text)
{
	static const char units[] = "KMGT";
	char *end;

	if (text[0] < '1' || text[0] > '9')
		return 0;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	const char *unit = *end != '\0' ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (errno != 0 || unit == NULL || end[1] != '\0')
		return 0;
	unsigned shift = 10 * (unsigned)(unit - units + 1);
	return number <= WRITABLE_MAX >> shift ? (uint64_t)number << shift : 0;
}

int lc_request_set_writable(struct lc_request *request, const char *size, struct lc_error *error)
{
	uint64_t bytes = size != NULL ? parse_size(size) : 0;

	if (size != NULL && bytes == 0)
		return lc_fail(error, EXIT_REQUEST,
			       "cannot use \"%.80s\" as the size of changes: sizes look like 512M "
			       "or 4G",
			       size);
	request->writable = true;
	request->writable_bytes = bytes;
	return 0;
}

int lc_request_merge(struct lc_request *request, const struct lc_request *other,
		     struct lc_error *error)
{
	if (other->image != NULL && lc_request_set_image(request, other->image, error) < 0)
		return -1;
	for (size_t i = 0; i < other->mount_count; i++) {
		const struct lc_mount *mount = &other->mounts[i];
		struct lc_mount copy = {strdup(mount->source), strdup(mount->destination),
					mount->writable, mount->image};
		int result = copy.source == NULL || copy.destination == NULL
				 ? out_of_memory(error)
				 : add_mount(request, &copy, error);
		lc_mount_clear(&copy);
		if (result < 0)
			return -1;
	}
	request->default_image |= other->default_image && request->image == NULL;
	request->root |= other->root;
	request->entry_point |= other->entry_point;
	if (other->writable) {
		request->writable = true;
		request->writable_bytes = other->writable_bytes;
	}
	for (size_t i = 0; i < LC_TEXTS; i++)
		if (other->texts[i] != NULL &&
		    lc_request_set_text(request, (enum lc_text)i, other->texts[i], error) < 0)
			return -1;
	return 0;
}

/* --- the spec --- */

static void put_writable(struct lc_spec_text *text, uint64_t bytes)
{
	char item[64];

	if (bytes == 0)
		snprintf(item, sizeof(item), ";writable=default");
	else
		snprintf(item, sizeof(item), ";writable=%" PRIu64, bytes);
	lc_spec_put(text, item);
}

int lc_request_format(const struct lc_request *request, char spec[LC_SPEC_MAX + 1],
		      struct lc_error *error)
{
	struct lc_spec_text text = {.at = spec, .left = LC_SPEC_MAX};

	lc_spec_put(&text, LC_SPEC_OF_DEFAULT);
	if (request->image != NULL)
		lc_spec_put_value(&text, request->image);
	for (size_t i = 0; i < request->mount_count; i++) {
		lc_spec_put(&text, ";mount=");
		lc_spec_put_mount(&text, &request->mounts[i]);
	}
	if (request->root)
		lc_spec_put(&text, ";root=1");
	if (request->writable)
		put_writable(&text, request->writable_bytes);
	if (request->entry_point)
		lc_spec_put(&text, ";entrypoint=1");
	for (size_t i = 0; i < LC_TEXTS; i++) {
		if (request->texts[i] == NULL)
			continue;
		lc_spec_put(&text, ";");
		lc_spec_put(&text, lc_text_kinds[i].key);
		lc_spec_put(&text, "=");
		lc_spec_put_value(&text, request->texts[i]);
	}
	*text.at = '\0';
	if (text.full)
		return lc_fail(error, EXIT_REQUEST,
			       "cannot use these mounts: what is asked for is longer than %d bytes",
			       LC_SPEC_MAX);
	return 0;
}

static int malformed(struct lc_error *error, const char *item, size_t length)
{
	return lc_fail(error, EXIT_REQUEST,
		       "cannot read the spec: \"%.*s\" (unset SLURM_LAYERCAKE_SPEC if you set it)",
		       (int)(length < 80 ? length : 80), item);
}

static int parse_mount(struct lc_request *request, const char *value, size_t length,
		       struct lc_error *error)
{
	struct lc_mount mount;

	if (lc_spec_parse_mount(value, length, &mount) < 0)
		return malformed(error, value, length);
	int result = lc_check_mount(&mount, mount.source, error);
	if (result == 0)
		result = add_mount(request, &mount, error);
	lc_mount_clear(&mount);
	return result;
}

static int parse_writable(struct lc_request *request, const char *value, size_t length)
{
	char text[32], *end;

	if (length >= sizeof(text))
		return -1;
	memcpy(text, value, length);
	text[length] = '\0';
	request->writable = true;
	if (strcmp(text, "default") == 0)
		return 0;
	errno = 0;
	unsigned long long bytes = strtoull(text, &end, 10);
	if (errno != 0 || text[0] < '1' || text[0] > '9' || *end != '\0' || bytes > WRITABLE_MAX)
		return -1;
	request->writable_bytes = bytes;
	return 0;
}

/* Returns 1 when the item is no text. */
static int parse_text(struct lc_request *request, const char *item, size_t length,
		      struct lc_error *error)
{
	for (size_t i = 0; i < LC_TEXTS; i++) {
		size_t key = strlen(lc_text_kinds[i].key);
		if (length <= key || strncmp(item, lc_text_kinds[i].key, key) != 0 ||
		    item[key] != '=')
			continue;
		char *value = lc_spec_parse_value(item + key + 1, length - key - 1);
		int result = value == NULL || request->texts[i] != NULL
				 ? malformed(error, item, length)
				 : lc_request_set_text(request, (enum lc_text)i, value, error);
		free(value);
		return result;
	}
	return 1;
}

int lc_request_parse(struct lc_request *request, const char *spec, struct lc_error *error)
{
	if (strlen(spec) > LC_SPEC_MAX)
		return lc_fail(error, EXIT_REQUEST, "cannot read the spec: longer than %d bytes",
			       LC_SPEC_MAX);
	for (const char *item = spec;; item++) {
		size_t length = strcspn(item, ";");
		if (strncmp(item, "image=", 6) == 0 && item == spec && length == 6) {
			request->default_image = true;
		} else if (strncmp(item, "image=", 6) == 0 && item == spec) {
			char *name = lc_spec_parse_value(item + 6, length - 6);
			int result = name == NULL ? malformed(error, item, length)
						  : lc_request_set_image(request, name, error);
			free(name);
			if (result < 0)
				return -1;
		} else if (strncmp(item, "mount=", 6) == 0 && item != spec) {
			if (parse_mount(request, item + 6, length - 6, error) < 0)
				return -1;
		} else if (length == 6 && strncmp(item, "root=1", 6) == 0 && item != spec &&
			   !request->root) {
			request->root = true;
		} else if (length == 12 && strncmp(item, "entrypoint=1", 12) == 0 && item != spec &&
			   !request->entry_point) {
			request->entry_point = true;
		} else if (strncmp(item, "writable=", 9) == 0 && item != spec &&
			   !request->writable) {
			if (parse_writable(request, item + 9, length - 9) < 0)
				return malformed(error, item, length);
		} else {
			int result = item == spec ? 1 : parse_text(request, item, length, error);
			if (result != 0)
				return result > 0 ? malformed(error, item, length) : -1;
		}
		item += length;
		if (*item == '\0')
			return 0;
	}
}
