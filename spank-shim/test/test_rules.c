/* Which rules of a site make tasks ask that have no image. */
#include "shared/rules.h"
#include "shared/test/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/layercake-test.XXXXXX";

static bool place_tasks(const char *text)
{
	FILE *file = fopen(path, "w");

	return CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0) &&
	       lc_rules_place_tasks(path);
}

static void test_rules_of_containers_do_not(void)
{
	CHECK(!place_tasks(""));
	CHECK(!place_tasks("\n  \n# default image=site/x\n\t# deny host=*"));
	CHECK(!place_tasks("allow\ndeny root=yes\r\n deny\tuser=ghost image=a/host -- no"));
	CHECK(!place_tasks("deny user=default\n"));
}

static void test_rules_of_tasks_do(void)
{
	CHECK(place_tasks("default image=site/x"));
	CHECK(place_tasks("deny root=yes\n\tdefault\timage=site/x\n"));
	CHECK(place_tasks("deny host=*"));
	CHECK(place_tasks("deny\thost=*"));
	CHECK(place_tasks("allow user=a host!=ssh -- why\n"));
}

static void test_what_is_not_understood_does(void)
{
	CHECK(place_tasks("defualt image=site/x"));
	CHECK(place_tasks("denyhost=*"));
	CHECK(place_tasks("deny\xc2\xa0host=*"));
}

static void test_what_cannot_be_read_does(void)
{
	char other[64];

	CHECK(place_tasks("deny\n") == false && truncate(path, (1 << 20) + 1) == 0);
	CHECK(lc_rules_place_tasks(path));
	snprintf(other, sizeof(other), "%s/x", path);
	CHECK(lc_rules_place_tasks(other)); /* not a directory */
	CHECK(lc_rules_place_tasks("/tmp") && lc_rules_place_tasks("/dev/null"));
	snprintf(other, sizeof(other), "%s.link", path);
	CHECK(symlink(path, other) == 0 && lc_rules_place_tasks(other));
	unlink(other);
	CHECK(!lc_rules_place_tasks(other));
}

int main(void)
{
	close(mkstemp(path));
	test_rules_of_containers_do_not();
	test_rules_of_tasks_do();
	test_what_is_not_understood_does();
	test_what_cannot_be_read_does();
	unlink(path);
	return summary();
}
