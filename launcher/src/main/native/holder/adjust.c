#define _GNU_SOURCE
#include "adjust.h"
#include "common/die.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ZONE_MAX = 65536 }; /* the largest that tzdata has are of some 4,000 bytes */

/* A name in a directory of the image, links to the directory followed; false without directory. */
static bool locate(int image, const char *directory, const char *name, char path[PATH_MAX])
{
	struct place place;

	return find_in_tree(image, directory, &place) == 0 && place.exists && S_ISDIR(place.mode) &&
	       snprintf(path, PATH_MAX, "%s/%s", place.path, name) < PATH_MAX;
}

static bool is_file_in(int image, const char *path)
{
	struct place place;

	return find_in_tree(image, path, &place) == 0 && place.exists && S_ISREG(place.mode);
}

/* --- the time zone --- */

/* The zone that a link leads to, such as Europe/Berlin; false where it is no link to a zone. */
static bool read_zone_name(int directory, const char *path, char name[PATH_MAX])
{
	static const char mark[] = "/zoneinfo/";
	ssize_t length = readlinkat(directory, path, name, PATH_MAX - 1);

	if (length < 0)
		return false;
	name[length] = '\0';
	const char *found = strstr(name, mark);
	if (found == NULL)
		return false;
	found += sizeof(mark) - 1;
	memmove(name, found, strlen(found) + 1);
	return name[0] != '\0';
}

/* Returns the size of the node's own description, tzfile(5); 0 when there is none. */
static size_t read_zone(char *bytes)
{
	int fd = open("/etc/localtime", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? 0 : read(fd, bytes, ZONE_MAX);

	if (fd >= 0)
		close(fd);
	return size > 4 && size < ZONE_MAX && memcmp(bytes, "TZif", 4) == 0 ? (size_t)size : 0;
}

static bool is_utc(const char *name)
{
	return strcmp(name, "UTC") == 0 || strcmp(name, "Etc/UTC") == 0;
}

/* Whether the image has the zone anyhow. Without any it has UTC, tzset(3). */
static bool has_zone(int image, const char *path, const char *zone)
{
	char name[PATH_MAX];
	struct stat status;

	if (fstatat(image, path + 1, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return is_utc(zone);
	return read_zone_name(image, path + 1, name) &&
	       (strcmp(name, zone) == 0 || (is_utc(name) && is_utc(zone)));
}

/* Debian has the zone's name in a file, too. */
static void name_zone(const struct skeleton *skeleton, const char *zone)
{
	char path[PATH_MAX], line[PATH_MAX + 1];

	if (!locate(skeleton->image, "/etc", "timezone", path) ||
	    !is_file_in(skeleton->image, path))
		return;
	int length = snprintf(line, sizeof(line), "%s\n", zone);
	add_file(skeleton, path, line, (size_t)length);
}

bool adjust_time_zone(const struct skeleton *skeleton)
{
	static char bytes[ZONE_MAX];
	char path[PATH_MAX], zone[PATH_MAX] = "", file[PATH_MAX + 32];
	size_t size = read_zone(bytes);
	bool named = read_zone_name(AT_FDCWD, "/etc/localtime", zone);

	if (size == 0)
		return false;
	if (!locate(skeleton->image, "/etc", "localtime", path))
		strcpy(path, "/etc/localtime");
	if (named && has_zone(skeleton->image, path, zone))
		return false;
	snprintf(file, sizeof(file), "/usr/share/zoneinfo/%s", zone);
	/* A link tells programs the name, but only where it leads somewhere. */
	if (named && strlen(file) < PATH_MAX && is_file_in(skeleton->image, file))
		add_link(skeleton, path, file);
	else
		add_file(skeleton, path, bytes, size);
	if (named)
		name_zone(skeleton, zone);
	return !skeleton->writable;
}

/* --- apt --- */

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
