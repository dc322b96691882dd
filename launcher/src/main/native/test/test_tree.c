/* find_in_tree: what a path means inside an image, whatever its symbolic links say. */
#define _GNU_SOURCE
#include "holder/tree.h"
#include "shared/test/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void finds(int tree, const char *wanted, int error, const char *path, bool exists)
{
	struct place place;
	int found = find_in_tree(tree, wanted, &place);

	if (!EXPECT(found == error &&
			(error != 0 || (strcmp(place.path, path) == 0 && place.exists == exists)),
		    wanted))
		printf("  error %d, path \"%s\", %s\n", found, found ? "" : place.path,
		       !found && place.exists ? "exists" : "missing");
}

static int make_tree(char *root)
{
	int tree = mkdtemp(root) != NULL ? open(root, O_PATH | O_DIRECTORY) : -1;

	if (tree < 0 || mkdirat(tree, "a", 0755) < 0 || mkdirat(tree, "a/b", 0755) < 0 ||
	    mknodat(tree, "a/file", S_IFREG | 0644, 0) < 0 || symlinkat("/a", tree, "abs") < 0 ||
	    symlinkat("a/b", tree, "rel") < 0 || symlinkat("../../../..", tree, "a/up") < 0 ||
	    symlinkat("/gone/far", tree, "dangling") < 0 || symlinkat("loop", tree, "loop") < 0 ||
	    symlinkat("../b/../../nothing/../x", tree, "a/b/dots") < 0) {
		perror("cannot make a tree");
		exit(1);
	}
	return tree;
}

int main(void)
{
	char root[] = "/tmp/test_tree.XXXXXX", command[64], longest[PATH_MAX + 1];
	int tree = make_tree(root);

	finds(tree, "/", 0, "", true);
	finds(tree, "/a/b", 0, "/a/b", true);
	finds(tree, "//a/./b/", 0, "/a/b", true);
	finds(tree, "/abs/b", 0, "/a/b", true);
	finds(tree, "/rel", 0, "/a/b", true);
	finds(tree, "/a/up", 0, "", true);
	finds(tree, "/a/up/etc/passwd", 0, "/etc/passwd", false);
	finds(tree, "/../../a", 0, "/a", true);
	finds(tree, "/dangling/x", 0, "/gone/far/x", false);
	finds(tree, "/a/b/dots", 0, "/x", false);
	finds(tree, "/a/new/deep", 0, "/a/new/deep", false);
	finds(tree, "/a/file", 0, "/a/file", true);
	finds(tree, "/a/file/x", ENOTDIR, NULL, false);
	finds(tree, "/loop/x", ELOOP, NULL, false);
	memset(longest, 'x', PATH_MAX);
	longest[0] = '/';
	longest[PATH_MAX] = '\0';
	finds(tree, longest, ENAMETOOLONG, NULL, false);
	snprintf(command, sizeof(command), "rm -r %s", root);
	CHECK(system(command) == 0);
	return summary();
}
