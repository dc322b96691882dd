#include "text.h"
#include "field.h"
#include "shared/enter.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

const char *lc_check_path(const char *path)
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

void lc_tidy_path(char *path)
{
	char *to = path;

	for (const char *from = path; *from != '\0'; from++)
		if (*from != '/' || (from[1] != '/' && from[1] != '\0'))
			*to++ = *from;
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

static const char *check_workdir(const char *value)
{
	if (strcmp(value, LC_WORKDIR_OF_IMAGE) == 0)
		return NULL;
	return value[0] != '/' ? "neither an absolute path nor \"" LC_WORKDIR_OF_IMAGE "\""
			       : lc_check_path(value);
}

static const char *check_home(const char *value)
{
	if (strcmp(value, LC_HOME_NONE) == 0)
		return NULL;
	if (value[0] == '/' && value[strspn(value, "/")] == '\0')
		return "the root directory is nobody's home";
	return lc_check_path(value);
}

static const char *check_variable(const char *name, size_t length)
{
	char copy[LC_VARIABLE_MAX + 1];

	if (length > LC_VARIABLE_MAX)
		return "a name is too long";
	memcpy(copy, name, length);
	copy[length] = '\0';
	if (length == 0 || strspn(copy, LC_NAME_CHARACTERS) != length ||
	    (copy[0] >= '0' && copy[0] <= '9'))
		return "not NAME[,NAME...], names of variables without values";
	return lc_image_may_set(copy) ? NULL
				      : "one of them is yours anyway, since no image may set it";
}

static const char *check_variables(const char *list)
{
	const char *problem = NULL;

	for (;; list++) {
		size_t length = strcspn(list, ",");
		problem = check_variable(list, length);
		list += length;
		if (problem != NULL || *list == '\0')
			return problem;
	}
}

/* Whether a part of a device's name is what the interface has it be; docs/protocol.md. */
static bool is_device_part(const char *part, size_t length, const char *inner)
{
	static const char ends[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	char copy[LC_DEVICE_MAX + 1];

	if (length == 0 || length > LC_DEVICE_MAX)
		return false;
	memcpy(copy, part, length);
	copy[length] = '\0';
	for (const char *at = copy; *at != '\0'; at++)
		if (strchr(ends, *at) == NULL && strchr(inner, *at) == NULL)
			return false;
	return strchr(ends, copy[0]) != NULL && strchr(ends, copy[length - 1]) != NULL;
}

static const char *check_devices(const char *list)
{
	for (;; list++) {
		size_t vendor = strcspn(list, "/,"), length = strcspn(list, ",");
		const char *class = list + vendor + 1;
		size_t rest = vendor < length ? length - vendor - 1 : 0;
		const char *equals = rest > 0 ? memchr(class, '=', rest) : NULL;
		if (equals == NULL || !is_device_part(list, vendor, "_.-") ||
		    !is_device_part(class, (size_t)(equals - class), "_.-") ||
		    !is_device_part(equals + 1, (size_t)(list + length - equals - 1), "_.:-"))
			return "not VENDOR/CLASS=NAME[,...], as in nvidia.com/gpu=all";
		list += length;
		if (*list == '\0')
			return NULL;
	}
}

static bool is_profile(const char *item, size_t length)
{
	static const char letters[] = LC_NAME_CHARACTERS "-";
	const char *name = item + 1;

	if (length < 2 || length - 1 > LC_PROFILE_MAX || strchr("+-", item[0]) == NULL ||
	    strchr("_-", name[0]) != NULL)
		return false;
	return strspn(name, letters) >= length - 1;
}

static const char *check_profiles(const char *list)
{
	for (;; list++) {
		size_t length = strcspn(list, ",");
		if (!is_profile(list, length))
			return "not +NAME or -NAME[,...], as in +nccl,-cxi";
		list += length;
		if (*list == '\0')
			return NULL;
	}
}

const struct lc_text_kind lc_text_kinds[LC_TEXTS] = {
    [LC_CWD] = {"cwd", "directory", lc_check_path},
    [LC_HOME] = {"home", "home", check_home},
    [LC_WORKDIR] = {"workdir", "working directory", check_workdir},
    [LC_ENV] = {"env", "variables to keep", check_variables},
    [LC_DEVICE] = {"device", "devices", check_devices},
    [LC_PROFILE] = {"profile", "profiles", check_profiles},
};
