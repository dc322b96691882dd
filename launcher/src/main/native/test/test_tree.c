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

static void find_two(const struct trees *trees, const char *wanted, int error, const char *path,
		     int tree)
{
	struct place place;
	int found = find_in_trees(trees, wanted, &place);

	if (!EXPECT(found == error &&
			(error != 0 || (strcmp(place.path, path) == 0 && place.tree == tree)),
		    wanted))
		printf("  error %d, path \"%s\", tree %d\n", found, found ? "" : place.path,
		       found ? 0 : place.tree);
}

/* The upper tree has what the lower lacks, and other things in place of some of it. */
static void test_two_trees(int lower)
{
	char root[] = "/tmp/test_tree_upper.XXXXXX", command[64];
	int upper = mkdtemp(root) != NULL ? open(root, O_PATH | O_DIRECTORY) : -1;
	static const char *const hidden[] = {"/a/b", NULL};
	struct trees trees = {.upper = upper, .lower = lower, .hidden = NULL};

	if (upper < 0 || mkdirat(upper, "a", 0755) < 0 || mkdirat(upper, "a/new", 0755) < 0 ||
	    mkdirat(upper, "rel", 0755) < 0 || mkdirat(upper, "a/file", 0755) < 0 ||
	    mknodat(upper, "dangling", S_IFREG | 0644, 0) < 0 ||
	    symlinkat("/rel/none", upper, "to-rel") < 0 ||
	    symlinkat("../b", upper, "a/new/back") < 0) {
		perror("cannot make a tree");
		exit(1);
	}
	find_two(&trees, "/a", 0, "/a", upper);
	find_two(&trees, "/a/b", 0, "/a/b", lower);
	find_two(&trees, "/a/new", 0, "/a/new", upper);
	find_two(&trees, "/abs/new", 0, "/a/new", upper);
	find_two(&trees, "/a/new/back", 0, "/a/b", lower);
	find_two(&trees, "/a/new/none", 0, "/a/new/none", -1);
	/* A directory in place of a link, of a file; a file in place of a link. */
	find_two(&trees, "/rel/file", 0, "/rel/file", -1);
	find_two(&trees, "/rel/x/../../a/b", 0, "/a/b", lower);
	find_two(&trees, "/to-rel", 0, "/rel/none", -1);
	find_two(&trees, "/a/file/x", 0, "/a/file/x", -1);
	find_two(&trees, "/dangling/x", ENOTDIR, NULL, -1);
	find_two(&trees, "/a/b/dots", 0, "/x", -1);
	trees.hidden = hidden;
	find_two(&trees, "/a/b", 0, "/a/b", lower);
	find_two(&trees, "/a/b/dots", 0, "/a/b/dots", -1);
	find_two(&trees, "/abs/b/dots/x", 0, "/a/b/dots/x", -1);
	find_two(&trees, "/a/b/../file", 0, "/a/file", upper);
	snprintf(command, sizeof(command), "rm -r %s", root);
	CHECK(system(command) == 0);
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
	finds(tree, "/gone/../rel", 0, "/a/b", true);
	test_two_trees(tree);
	memset(longest, 'x', PATH_MAX);
	longest[0] = '/';
	longest[PATH_MAX] = '\0';
	finds(tree, longest, ENAMETOOLONG, NULL, false);
	snprintf(command, sizeof(command), "rm -r %s", root);
	CHECK(system(command) == 0);
	return summary();
}
