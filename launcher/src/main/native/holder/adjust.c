#define _GNU_SOURCE
#include "adjust.h"
#include "tree.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

/* A name in a directory of the image, links to the directory followed; false without directory. */
static bool locate(int image, const char *directory, const char *name, char path[PATH_MAX])
{
	struct place place;

	return find_in_tree(image, directory, &place) == 0 && place.exists && S_ISDIR(place.mode) &&
	       snprintf(path, PATH_MAX, "%s/%s", place.path, name) < PATH_MAX;
}

bool adjust_apt(const struct skeleton *skeleton)
{
	static const char setting[] = "// There is no other user here that apt could become.\n"
				      "APT::Sandbox::User \"root\";\n";
	char path[PATH_MAX];

	/* By the order of names, the last one counts. */
	if (!locate(skeleton->image, "/etc/apt/apt.conf.d", "zz-layercake", path))
		return false;
	return add_file(skeleton, path, setting, sizeof(setting) - 1);
}
