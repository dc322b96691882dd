#define _GNU_SOURCE
#include "request.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int out_of_memory(struct lc_error *error)
{
	return lc_fail(error, LC_INTERNAL, "out of memory");
}

void lc_request_clear(struct lc_request *request)
{
	free(request->image);
	for (size_t i = 0; i < request->mount_count; i++) {
		free(request->mounts[i].source);
		free(request->mounts[i].destination);
	}
	*request = (struct lc_request){0};
}

/* Form only; whether there is such an image is for the launcher to say. */
static int check_image(const char *name, struct lc_error *error)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-+/:@";

	if (name[0] == '\0' || strlen(name) > LC_IMAGE_MAX)
		return lc_fail(error, LC_REQUEST,
			       "cannot use \"%.80s\" as image: a name has 1 to %d characters", name,
			       LC_IMAGE_MAX);
	if (name[strspn(name, allowed)] != '\0')
		return lc_fail(error, LC_REQUEST,
			       "cannot use \"%s\" as image: \"%.1s\" is not allowed in a name "
			       "(names look like deb:12 or site/deb:12)",
			       name, name + strspn(name, allowed));
	return 0;
}

int lc_request_set_image(struct lc_request *request, const char *name, struct lc_error *error)
{
	if (check_image(name, error) < 0)
		return -1;
	char *copy = strdup(name);
	if (copy == NULL)
		return out_of_memory(error);
	free(request->image);
	request->image = copy;
	return 0;
}

/* What is wrong with a path, or NULL. */
static const char *check_path(const char *path)
{
	if (path[0] != '/')
		return "not an absolute path";
	if (strlen(path) >= PATH_MAX)
		return "longer than a path may be";
	for (const char *at = path; *at != '\0';) {
		at += strspn(at, "/");
		size_t length = strcspn(at, "/");
		if ((length == 1 && at[0] == '.') || (length == 2 && strncmp(at, "..", 2) == 0))
			return "\".\" and \"..\" are not allowed";
		at += length;
	}
	return NULL;
}

/* Removes double and trailing slashes of an absolute path. */
static void tidy_path(char *path)
{
	char *to = path;

	for (const char *from = path; *from != '\0'; from++)
		if (*from != '/' || (from[1] != '/' && from[1] != '\0'))
			*to++ = *from;
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

/* Takes the strings over when it succeeds. `item` is what the user wrote. */
static int add_mount(struct lc_request *request, char **source, char **destination, bool writable,
		     const char *item, struct lc_error *error)
{
	const char *problem = check_path(*source), *path = *source;
	struct lc_mount *mount = NULL;

	if (problem == NULL) {
		path = *destination;
		problem = check_path(*destination);
	}
	if (problem == NULL) {
		tidy_path(*source);
		tidy_path(*destination);
	}
	if (problem == NULL && strcmp(*destination, "/") == 0)
		problem = "nothing can be mounted on the root directory";
	if (problem == NULL && strncmp(*destination, "/proc", 5) == 0 &&
	    ((*destination)[5] == '/' || (*destination)[5] == '\0'))
		problem = "nothing can be mounted on /proc or below it";
	for (size_t i = 0; problem == NULL && i < request->mount_count; i++)
		if (strcmp(request->mounts[i].destination, *destination) == 0)
			mount = &request->mounts[i];
	if (problem == NULL && mount == NULL && request->mount_count == LC_MOUNTS_MAX)
		problem = "one mount too many, 64 are possible";
	if (problem != NULL)
		return lc_fail(error, LC_REQUEST, "cannot mount \"%.200s\": \"%.200s\": %s", item,
			       path, problem);
	if (mount == NULL)
		mount = &request->mounts[request->mount_count++];
	free(mount->source);
	free(mount->destination);
	*mount = (struct lc_mount){*source, *destination, writable};
	*source = *destination = NULL;
	return 0;
}

/* Copies up to the first unescaped one of `ends` (or the end) without the backslashes. */
static char *take_field(const char **text, const char *ends)
{
	char *field = malloc(strlen(*text) + 1), *to = field;

	if (field == NULL)
		return NULL;
	while (**text != '\0' && strchr(ends, **text) == NULL) {
		if (**text == '\\' && (*text)[1] != '\0' && strchr(",:\\", (*text)[1]) != NULL)
			(*text)++;
		*to++ = *(*text)++;
	}
	*to = '\0';
	return field;
}

static bool is_mode(const char *text)
{
	return strcmp(text, "ro") == 0 || strcmp(text, "rw") == 0;
}

/* Adds the item of a --ch-mount list that *list points to, and moves *list behind it. */
static int add_item(struct lc_request *request, const char **list, struct lc_error *error)
{
	char *fields[3] = {NULL}, *source = NULL, *destination = NULL, *item = NULL;
	const char *start = *list;
	size_t count = 0;
	int result = -1;

	for (;;) {
		fields[count] = take_field(list, ",:");
		if (fields[count++] == NULL || **list != ':' || count == 3)
			break;
		(*list)++;
	}
	bool has_mode = count > 1 && fields[count - 1] != NULL && is_mode(fields[count - 1]);
	bool writable = !has_mode || strcmp(fields[count - 1], "rw") == 0;
	size_t paths = has_mode ? count - 1 : count;
	item = strndup(start, (size_t)(*list - start));
	if (fields[count - 1] != NULL && paths <= 2) {
		source = strdup(fields[0]);
		destination = strdup(fields[paths - 1]);
	}
	if (paths > 2 || **list == ':')
		lc_fail(
		    error, LC_REQUEST,
		    "cannot mount \"%.200s\": not SOURCE[:DESTINATION][:ro|rw] (write a colon in "
		    "a name as \\:)",
		    item != NULL ? item : "");
	else if (item == NULL || source == NULL || destination == NULL)
		out_of_memory(error);
	else
		result = add_mount(request, &source, &destination, writable, item, error);
	for (size_t i = 0; i < count; i++)
		free(fields[i]);
	free(source);
	free(destination);
	free(item);
	return result;
}

int lc_request_add_mounts(struct lc_request *request, const char *list, struct lc_error *error)
{
	for (;;) {
		if (*list == '\0' || *list == ',')
			return lc_fail(error, LC_REQUEST,
				       "cannot mount \"\": the list of mounts has an empty item "
				       "(write a comma in a name as \\,)");
		if (add_item(request, &list, error) < 0)
			return -1;
		if (*list == '\0')
			return 0;
		list++;
	}
}

int lc_request_merge(struct lc_request *request, const struct lc_request *other,
		     struct lc_error *error)
{
	if (other->image != NULL && lc_request_set_image(request, other->image, error) < 0)
		return -1;
	for (size_t i = 0; i < other->mount_count; i++) {
		const struct lc_mount *mount = &other->mounts[i];
		char *source = strdup(mount->source), *destination = strdup(mount->destination);
		int result = source == NULL || destination == NULL
				 ? out_of_memory(error)
				 : add_mount(request, &source, &destination, mount->writable,
					     mount->destination, error);
		free(source);
		free(destination);
		if (result < 0)
			return -1;
	}
	request->root |= other->root;
	return 0;
}

/* --- the spec --- */

struct text {
	char *at;
	size_t left;
	bool full;
};

static void put(struct text *text, const char *bytes)
{
	size_t length = strlen(bytes);

	if (text->full || length > text->left) {
		text->full = true;
		return;
	}
	memcpy(text->at, bytes, length);
	text->at += length;
	text->left -= length;
}

static bool is_plain(unsigned char byte)
{
	return byte > 0x20 && byte < 0x7f && byte != '%' && byte != ';';
}

static void put_escaped(struct text *text, const char *value, bool is_path)
{
	static const char digits[] = "0123456789ABCDEF";

	for (const unsigned char *byte = (const unsigned char *)value; *byte != '\0'; byte++) {
		char piece[4] = {(char)*byte, '\0'};
		if (!is_plain(*byte) || (is_path && *byte == ':')) {
			piece[0] = '%';
			piece[1] = digits[*byte >> 4];
			piece[2] = digits[*byte & 15];
		}
		put(text, piece);
	}
}

int lc_request_format(const struct lc_request *request, char spec[LC_SPEC_MAX + 1],
		      struct lc_error *error)
{
	struct text text = {.at = spec, .left = LC_SPEC_MAX};

	put(&text, "image=");
	put_escaped(&text, request->image, false);
	for (size_t i = 0; i < request->mount_count; i++) {
		const struct lc_mount *mount = &request->mounts[i];
		put(&text, ";mount=");
		put_escaped(&text, mount->source, true);
		put(&text, ":");
		put_escaped(&text, mount->destination, true);
		put(&text, mount->writable ? ":rw" : ":ro");
	}
	if (request->root)
		put(&text, ";root=1");
	*text.at = '\0';
	if (text.full)
		return lc_fail(error, LC_REQUEST,
			       "cannot use these mounts: together they are longer than %d bytes",
			       LC_SPEC_MAX);
	return 0;
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* Undoes put_escaped; NULL if the bytes can not come from there. */
static char *unescape(const char *from, size_t length)
{
	char *value = malloc(length + 1), *to = value;

	for (size_t i = 0; value != NULL && i < length; i++) {
		char byte = from[i];
		if (byte == '%') {
			int high = i + 2 < length ? hex_digit(from[i + 1]) : -1;
			int low = i + 2 < length ? hex_digit(from[i + 2]) : -1;
			byte = (char)(high * 16 + low);
			if (high < 0 || low < 0 || byte == '\0') {
				free(value);
				return NULL;
			}
			i += 2;
		} else if (!is_plain((unsigned char)byte)) {
			free(value);
			return NULL;
		}
		*to++ = byte;
	}
	if (value != NULL)
		*to = '\0';
	return value;
}

static int malformed(struct lc_error *error, const char *item, size_t length)
{
	return lc_fail(error, LC_REQUEST,
		       "cannot read the spec: \"%.*s\" (unset SLURM_LAYERCAKE_SPEC if you set it)",
		       (int)(length < 80 ? length : 80), item);
}

static int parse_mount(struct lc_request *request, const char *value, size_t length,
		       struct lc_error *error)
{
	const char *end = value + length;
	const char *colon = memchr(value, ':', length);
	const char *mode = colon != NULL ? memchr(colon + 1, ':', (size_t)(end - colon - 1)) : NULL;

	if (mode == NULL || end - mode != 3 || mode[1] != 'r' || (mode[2] != 'o' && mode[2] != 'w'))
		return malformed(error, value, length);
	char *source = unescape(value, (size_t)(colon - value));
	char *destination = unescape(colon + 1, (size_t)(mode - colon - 1));
	int result = source == NULL || destination == NULL
			 ? malformed(error, value, length)
			 : add_mount(request, &source, &destination, mode[2] == 'w', source, error);
	free(source);
	free(destination);
	return result;
}

int lc_request_parse(struct lc_request *request, const char *spec, struct lc_error *error)
{
	if (strlen(spec) > LC_SPEC_MAX)
		return lc_fail(error, LC_REQUEST, "cannot read the spec: longer than %d bytes",
			       LC_SPEC_MAX);
	for (const char *item = spec;; item++) {
		size_t length = strcspn(item, ";");
		if (strncmp(item, "image=", 6) == 0 && item == spec) {
			char *name = unescape(item + 6, length - 6);
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
		} else {
			return malformed(error, item, length);
		}
		item += length;
		if (*item == '\0')
			return 0;
	}
}
