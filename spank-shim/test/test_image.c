/* What can be an image, and the line to type where it cannot. */
#include "image.h"
#include "shared/test/check.h"

#include <string.h>

static void accepted(const char *name)
{
	struct lc_error error = {0};

	if (!CHECK(lc_check_image(name, &error) == 0))
		printf("  %s gave \"%s\"\n", name, error.text);
}

static void refused_with(int code, const char *name, const char *part)
{
	struct lc_error error = {0};

	if (!CHECK(lc_check_image(name, &error) < 0 && error.code == code &&
		   strstr(error.text, part) != NULL && strchr(error.text, '\n') == NULL))
		printf("  %s gave \"%s\"\n", name, error.text);
}

static void refused(const char *name, const char *part)
{
	refused_with(EXIT_REQUEST, name, part);
}

static void test_names(void)
{
	accepted("deb");
	accepted("deb:12");
	accepted("site/deb:12");
	accepted("a.b/deb:12.1");
	accepted("alice/deb@sha256:0123");
	accepted("site/deb:1@sha256:0123");
	accepted("sqsh");
	accepted("deb:v1.tar");
	refused("", "1 to 512 characters");
	refused("a b", "\" \" is not allowed");
	refused("$x", "\"$\" is not allowed");
}

static void test_files(void)
{
	refused("./x.sqsh", "(layercake push ./x.sqsh x, then --ch-image=x)");
	refused("/a/b.c/x.sqsh", "(layercake push /a/b.c/x.sqsh x, then --ch-image=x)");
	refused("../x", "(layercake push ../x x, then --ch-image=x)");
	refused("~/x.tar", "(layercake push ~/x.tar x, then");
	refused("/images/rootfs/", "(layercake push /images/rootfs/ rootfs, then");
	refused("x.sqfs", "(layercake push x.sqfs x, then");
	refused("dir/deb.12.tar.gz", "(layercake push dir/deb.12.tar.gz deb.12, then");
	refused("./x y.sqsh", "(layercake push FILE xy, then");
	refused("./.sqsh", "(layercake push ./.sqsh NAME, then");
	refused("/", "(layercake push / NAME, then");
	refused("./none.tar", "push ./none.tar NAME, then");
	refused("./x.sif", "(apptainer build --sandbox x.d ./x.sif && layercake push x.d x, then");
	refused("./x\033[2J", "\"./x?[2J\"");
}

static void test_registries(void)
{
	refused("nvcr.io/a/b:c",
		"(layercake push docker://nvcr.io/a/b:c b:c, then --ch-image=b:c)");
	refused("nvcr.io/a/b", "(layercake push docker://nvcr.io/a/b b, then --ch-image=b)");
	refused("localhost:5000/b:c", "push docker://localhost:5000/b:c b:c, then");
	refused("r.example:443/a/b@sha256:01", "docker://r.example:443/a/b@sha256:01 b, then");
	refused_with(EXIT_MISSING, "docker://nvcr.io/a/b:c",
		     "layercake push docker://nvcr.io/a/b:c;");
	refused_with(EXIT_MISSING, "docker://a/b.tar", "layercake push docker://a/b.tar;");
	accepted("oci:/a/b");
	accepted("a:b/c");
	accepted("a:/c");
}

int main(void)
{
	test_names();
	test_files();
	test_registries();
	return summary();
}
