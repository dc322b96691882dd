/* The name of the current directory, and whether a path lies in another. */
#include "directory.h"
#include "shared/test/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_is_in(void)
{
	CHECK(lc_is_in("/a", "/a") && lc_is_in("/a/b", "/a") && lc_is_in("/a", "/"));
	CHECK(!lc_is_in("/ab", "/a") && !lc_is_in("/", "/a") && !lc_is_in("/b/a", "/a"));
}

static void test_mount_point(void)
{
	char top[PATH_MAX];

	CHECK(lc_find_mount_point("/proc/self/task", top) && strcmp(top, "/proc") == 0);
	CHECK(lc_find_mount_point("/proc", top) && strcmp(top, "/proc") == 0);
	CHECK(!lc_find_mount_point("/", top) && !lc_find_mount_point("/nonexistent", top));
}

static void is_called(const char *home, const char *expected)
{
	char directory[PATH_MAX];
	struct lc_error error;

	if (!CHECK(lc_find_directory(home, directory, &error) == 0 &&
		   strcmp(directory, expected) == 0))
		printf("  with home %s it is %s\n", home, directory);
}

static void test_a_home_behind_a_link_is_called_by_its_name(void)
{
	char top[] = "/tmp/layercake-test.XXXXXX", real[64], link[64], inside[80], named[80];

	if (!CHECK(mkdtemp(top) != NULL))
		return;
	snprintf(real, sizeof(real), "%s/real", top);
	snprintf(link, sizeof(link), "%s/home", top);
	snprintf(inside, sizeof(inside), "%s/work", real);
	snprintf(named, sizeof(named), "%s/work", link);
	CHECK(mkdir(real, 0700) == 0 && mkdir(inside, 0700) == 0 && symlink("real", link) == 0);
	CHECK(chdir(inside) == 0);
	is_called(NULL, inside);
	is_called(real, inside);
	is_called(link, named);
	strcat(link, "/");
	is_called(link, named);
	link[strlen(link) - 1] = '\0';
	is_called("/nonexistent", inside);
	CHECK(chdir(real) == 0);
	is_called(link, link);
	CHECK(chdir(top) == 0);
	is_called(link, top);
	rmdir(inside);
	rmdir(real);
	unlink(link);
	rmdir(top);
}

static void test_a_directory_that_is_gone_has_no_name(void)
{
	char top[] = "/tmp/layercake-test.XXXXXX", directory[PATH_MAX];
	struct lc_error error = {0};

	CHECK(mkdtemp(top) != NULL && chdir(top) == 0 && rmdir(top) == 0);
	CHECK(lc_find_directory(NULL, directory, &error) < 0 && error.code == EXIT_REQUEST);
	CHECK(strstr(error.text, "No such file") != NULL);
}

int main(void)
{
	test_is_in();
	test_mount_point();
	test_a_home_behind_a_link_is_called_by_its_name();
	test_a_directory_that_is_gone_has_no_name();
	return summary();
}
