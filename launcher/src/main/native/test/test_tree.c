/* find_in_tree: what a path means inside an image, whatever its symbolic links say. */
#define _GNU_SOURCE
#include "holder/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int passed, failed;

static void check(int tree, const char *wanted, int error, const char *path, bool exists)
{
	struct place place;
	int found = find_in_tree(tree, wanted, &place);

	if (found == error &&
	    (error != 0 || (strcmp(place.path, path) == 0 && place.exists == exists))) {
		passed++;
		return;
	}
	failed++;
	printf("FAILED: %s: error %d, path \"%s\", %s\n", wanted, found, found ? "" : place.path,
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

	check(tree, "/", 0, "", true);
	check(tree, "/a/b", 0, "/a/b", true);
	check(tree, "//a/./b/", 0, "/a/b", true);
	check(tree, "/abs/b", 0, "/a/b", true);
	check(tree, "/rel", 0, "/a/b", true);
	check(tree, "/a/up", 0, "", true);
	check(tree, "/a/up/etc/passwd", 0, "/etc/passwd", false);
	check(tree, "/../../a", 0, "/a", true);
	check(tree, "/dangling/x", 0, "/gone/far/x", false);
	check(tree, "/a/b/dots", 0, "/x", false);
	check(tree, "/a/new/deep", 0, "/a/new/deep", false);
	check(tree, "/a/file", 0, "/a/file", true);
	check(tree, "/a/file/x", ENOTDIR, NULL, false);
	check(tree, "/loop/x", ELOOP, NULL, false);
	memset(longest, 'x', PATH_MAX);
	longest[0] = '/';
	longest[PATH_MAX] = '\0';
	check(tree, longest, ENAMETOOLONG, NULL, false);
	snprintf(command, sizeof(command), "rm -r %s", root);
	if (system(command) != 0)
		failed++;
	printf("%d passed, %d failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
