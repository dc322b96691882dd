/* The directory that a step starts in, and whether it is to be shown. */
#include "directory.h"
#include "request.h"

#include <string.h>

static bool has_no_home(const struct lc_request *request)
{
	const char *home = request->texts[LC_HOME];

	return home != NULL && strcmp(home, LC_HOME_NONE) == 0;
}

static bool is_shown(const struct lc_request *request, const char *directory, const char *home)
{
	/* Every container has these of the node. */
	static const char *const always[] = {"/dev", "/proc", "/sys", "/tmp"};

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (lc_is_in(directory, always[i]))
			return true;
	for (size_t i = 0; i < request->mount_count; i++)
		if (lc_is_in(directory, request->mounts[i].destination))
			return true;
	return strcmp(directory, "/") == 0 ||
	       (home != NULL && lc_is_in(directory, home) && !has_no_home(request)) ||
	       (request->texts[LC_CWD] != NULL && lc_is_in(directory, request->texts[LC_CWD]));
}

static bool may_show_all(const struct lc_request *request, const char *top, const char *home)
{
	for (size_t i = 0; i < request->mount_count; i++)
		if (lc_is_in(request->mounts[i].destination, top))
			return false;
	return home == NULL || !lc_is_in(home, top);
}

bool lc_request_show(struct lc_request *request, const char *directory, const char *top,
		     const char *home)
{
	struct lc_error error; /* without it a step says what is missing */

	if (is_shown(request, directory, home))
		return false;
	if (has_no_home(request) && home != NULL && lc_is_in(home, directory))
		return false;
	if (top != NULL && may_show_all(request, top, home))
		directory = top;
	return lc_request_set_text(request, LC_CWD, directory, &error) == 0;
}
