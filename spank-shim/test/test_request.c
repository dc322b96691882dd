#include "image.h"
#include "request.h"
#include "shared/test/check.h"

#include <stdlib.h>
#include <string.h>

static const struct lc_words words = {"/home/me", "/w/x", "/submit", "me"};

/* What --ch-image=deb:12 and this --ch-mount come to, or NULL with an error. */
static const char *spec_of(const char *mounts, struct lc_error *error)
{
	static char spec[LC_SPEC_MAX + 1];
	struct lc_request request = {0};
	bool good = lc_request_set_image(&request, "deb:12", error) == 0 &&
		    lc_request_add_mounts(&request, mounts, &words, error) == 0 &&
		    lc_request_format(&request, spec, error) == 0;

	lc_request_clear(&request);
	return good ? spec : NULL;
}

static void gives(const char *mounts, const char *expected)
{
	struct lc_error error = {0};
	const char *spec = spec_of(mounts, &error);

	if (!CHECK(spec != NULL && strcmp(spec, expected) == 0))
		printf("  %s gave %s %s\n", mounts, spec != NULL ? spec : "error:", error.text);
}

static void refused(const char *mounts, const char *part)
{
	struct lc_error error = {0};

	if (!CHECK(spec_of(mounts, &error) == NULL && error.code == EXIT_REQUEST &&
		   strstr(error.text, part) != NULL))
		printf("  %s gave \"%s\"\n", mounts, error.text);
}

static void test_mounts(void)
{
	gives("/a", "image=deb:12;mount=/a:/a:rw");
	gives("/a:ro", "image=deb:12;mount=/a:/a:ro");
	gives("/a:/b", "image=deb:12;mount=/a:/b:rw");
	gives("/a:/b:ro,/c:rw", "image=deb:12;mount=/a:/b:ro;mount=/c:/c:rw");
	gives("/a\\,b:/c\\:d:ro", "image=deb:12;mount=/a,b:/c%3Ad:ro");
	gives("/a\\\\", "image=deb:12;mount=/a\\:/a\\:rw");
	gives("/a\\x", "image=deb:12;mount=/a\\x:/a\\x:rw");
	gives("/a b;c%", "image=deb:12;mount=/a%20b%3Bc%25:/a%20b%3Bc%25:rw");
	gives("/\xc3\xa9\n", "image=deb:12;mount=/%C3%A9%0A:/%C3%A9%0A:rw");
	gives("//a///b/:/c//", "image=deb:12;mount=/a/b:/c:rw");
	gives("/:/host:ro", "image=deb:12;mount=/:/host:ro");
	gives("/a:/x,/b:/y,/c:/x:ro", "image=deb:12;mount=/c:/x:ro;mount=/b:/y:rw");
	gives("/..a/...", "image=deb:12;mount=/..a/...:/..a/...:rw");
}

static void test_words(void)
{
	gives(".", "image=deb:12;mount=/w/x:/w/x:rw");
	gives("./", "image=deb:12;mount=/w/x:/w/x:rw");
	gives("./a/./b:/c:ro", "image=deb:12;mount=/w/x/a/b:/c:ro");
	gives("a", "image=deb:12;mount=/w/x/a:/w/x/a:rw");
	gives("..", "image=deb:12;mount=/w:/w:rw");
	gives("../../../b", "image=deb:12;mount=/b:/b:rw");
	gives("..a/...", "image=deb:12;mount=/w/x/..a/...:/w/x/..a/...:rw");
	gives("~,~/a:/b", "image=deb:12;mount=/home/me:/home/me:rw;mount=/home/me/a:/b:rw");
	gives("$HOME/a", "image=deb:12;mount=/home/me/a:/home/me/a:rw");
	gives("$PWD:${HOME}2:ro", "image=deb:12;mount=/w/x:/home/me2:ro");
	gives("/s/$USER:~/s", "image=deb:12;mount=/s/me:/home/me/s:rw");
	gives("${SLURM_SUBMIT_DIR}/a", "image=deb:12;mount=/submit/a:/submit/a:rw");
	gives("/a\\$HOME,\\~", "image=deb:12;mount=/a$HOME:/a$HOME:rw;mount=/w/x/~:/w/x/~:rw");
	gives("/a~", "image=deb:12;mount=/a~:/a~:rw");
	refused("$SCRATCH/a", "cannot mount \"$SCRATCH/a\": only ~, $HOME, $PWD");
	refused("/ok,/$HOMES", "only ~, $HOME");
	refused("/$", "only ~, $HOME");
	refused("/${HOME", "only ~, $HOME");
	refused("/${HOME:-x}", "only ~, $HOME");
	refused("~you/a", "only ~, $HOME");
	refused("a/../b", "\".\" and \"..\"");
	refused("/a:.", "\".\": not an absolute path");
	refused("../..", "root directory");
}

static void test_refused_mounts(void)
{
	refused("", "empty item");
	refused("/a,", "empty item");
	refused(",/a", "empty item");
	refused("/a:b", "\"b\": not an absolute path");
	refused("/a:", "\"\": not an absolute path");
	refused("/ok,/a/../b", "\"/a/../b\": \".\" and \"..\"");
	refused("//a//..", "\"//a//..\": \"//a//..\"");
	refused("/a\\,b:c", "\"/a\\,b:c\"");
	refused("/a:/b/.", "\"/b/.\"");
	refused("/a:/", "root directory");
	refused("/", "root directory");
	refused("/a:///", "root directory");
	refused("/a:/proc", "on /proc or below it");
	refused("/proc/self/fd", "on /proc or below it");
	refused("/a:/b:rx", "\"/a:/b:rx\": not SOURCE");
	refused("/a:/b:ro:rw", "not SOURCE");
	refused("/a:/b:/c", "not SOURCE");
	refused(":/a", "\"\": not an absolute path");
	refused("/a:ro:ro", "\"ro\": not an absolute path");
	refused("/a\033[2J:b", "/a?[2J");
}

static void test_images_are_mounted(void)
{
	struct lc_error error = {0};

	gives("image:x:/d", "image=deb:12;mount=image:x:/d:ro");
	gives("image:x:/d:ro,/a", "image=deb:12;mount=image:x:/d:ro;mount=/a:/a:rw");
	gives("image:x:1:/d//e/", "image=deb:12;mount=image:x:1:/d/e:ro");
	gives("image:bob/x:1.2:/d", "image=deb:12;mount=image:bob/x:1.2:/d:ro");
	gives("image:$USER/x:~/d", "image=deb:12;mount=image:me/x:/home/me/d:ro");
	gives("image:x:1@sha256:ab:/d:ro", "image=deb:12;mount=image:x:1@sha256:ab:/d:ro");
	gives("image:x:/d\\,e\\:f", "image=deb:12;mount=image:x:/d,e%3Af:ro");
	gives("image:ro:/d", "image=deb:12;mount=image:ro:/d:ro");
	gives("/a:/d,image:x:/d", "image=deb:12;mount=image:x:/d:ro");
	gives("image:x:/d,image:x:/e", "image=deb:12;mount=image:x:/d:ro;mount=image:x:/e:ro");
	refused("image:x:/d:rw", "\"image:x:/d:rw\": an image can only be mounted read-only");
	refused("image:x", "not image:NAME[:TAG]:DESTINATION");
	refused("image:x:ro", "not image:NAME[:TAG]:DESTINATION");
	refused("image:x:1", "\"1\": not an absolute path");
	refused("image:x:d:ro", "\"d\": not an absolute path");
	refused("image:x:/", "root directory");
	refused("image:x:/proc", "on /proc or below it");
	refused("image:x y:/d", "\" \" is not allowed in a name");
	refused("image::/d", "1 to 512 characters");
	refused("image:./x:/d", "\"./x\"");
	refused("image:a:b:c:d:e:f:g:/d", "not image:NAME[:TAG]:DESTINATION");
	CHECK(spec_of("image:docker://r/x:/d", &error) == NULL && error.code == EXIT_MISSING);
	CHECK(strstr(error.text, "layercake push docker://r/x") != NULL);
}

static void test_a_directory_may_be_called_image(void)
{
	gives("image", "image=deb:12;mount=/w/x/image:/w/x/image:rw");
	gives("image:ro", "image=deb:12;mount=/w/x/image:/w/x/image:ro");
	gives("image:/d", "image=deb:12;mount=/w/x/image:/d:rw");
	gives("image:/d:rw", "image=deb:12;mount=/w/x/image:/d:rw");
	gives("image:~:ro", "image=deb:12;mount=/w/x/image:/home/me:ro");
	gives("image\\:x:/d", "image=deb:12;mount=/w/x/image%3Ax:/d:rw");
}

static void test_limits(void)
{
	refused("image:x:/1,image:x:/2,image:x:/3,image:x:/4,image:x:/5,image:x:/6,image:x:/7,"
		"image:x:/8,image:x:/9",
		"one image too many, 8 can be mounted");
	gives("image:x:/1,image:x:/1,image:x:/1,image:x:/1,image:x:/1,image:x:/1,image:x:/1,"
	      "image:x:/1,image:x:/1",
	      "image=deb:12;mount=image:x:/1:ro");
	static char list[70000];
	struct lc_error error = {0};

	for (int i = 0; i < 65; i++)
		snprintf(list + strlen(list), 16, "%s/%d", i > 0 ? "," : "", i);
	refused(list, "one mount too many");
	list[strlen(list) - 4] = '\0';
	CHECK(spec_of(list, &error) != NULL);
	memset(list, 'x', 5000);
	list[0] = '/';
	list[5000] = '\0';
	refused(list, "longer than a path may be");
	list[4095] = '\0';
	CHECK(spec_of(list, &error) != NULL);
	for (int i = 0; i < 4; i++)
		memcpy(list + 4096 * i, "/1/,", 4), memset(list + 4096 * i + 3, 'y', 4092),
		    list[4096 * i + 1] = (char)('0' + i), list[4096 * i + 4095] = ',';
	list[4096 * 4 - 1] = '\0';
	refused(list, "longer than 16384");
}

static void test_images(void)
{
	static const char *const good[] = {"deb", "deb:12", "site/deb:12", "a@sha256:0123",
					   "none:x"};
	static const char *const bad[] = {"", "a b", "a;b", "a%", "a\n", "\xc3\xa9", "a=b", "$x"};
	struct lc_request request = {0};
	struct lc_error error;
	char name[LC_IMAGE_MAX + 2];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(lc_request_set_image(&request, good[i], &error) == 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(lc_request_set_image(&request, bad[i], &error) < 0);
	CHECK(strcmp(request.image, "none:x") == 0);
	CHECK(lc_request_set_image(&request, "docker://a.b/x:1", &error) < 0);
	CHECK(error.code == EXIT_MISSING);
	CHECK(strstr(error.text, "layercake push docker://a.b/x:1;") != NULL);
	memset(name, 'x', sizeof(name));
	name[LC_IMAGE_MAX + 1] = '\0';
	CHECK(lc_request_set_image(&request, name, &error) < 0);
	name[LC_IMAGE_MAX] = '\0';
	CHECK(lc_request_set_image(&request, name, &error) == 0);
	lc_request_clear(&request);
	CHECK(request.image == NULL && request.mount_count == 0);
}

static void test_a_default_image(void)
{
	struct lc_request allocation = {0}, step = {0};
	struct lc_error error;
	char spec[LC_SPEC_MAX + 1];

	CHECK(lc_request_parse(&allocation, "image=;mount=/s:/d:rw", &error) == 0);
	CHECK(allocation.image == NULL && lc_request_has_container(&allocation));
	CHECK(lc_request_format(&allocation, spec, &error) == 0);
	CHECK(strcmp(spec, "image=;mount=/s:/d:rw") == 0);
	CHECK(lc_request_merge(&step, &allocation, &error) == 0 && step.default_image);
	CHECK(lc_request_set_image(&step, "b", &error) == 0 && !step.default_image);
	CHECK(lc_request_merge(&step, &allocation, &error) == 0 && !step.default_image);
	CHECK(strcmp(step.image, "b") == 0);
	lc_request_clear(&step);
	CHECK(!lc_request_has_container(&step));
	lc_request_clear(&allocation);
}

static void test_merge(void)
{
	struct lc_request allocation = {0}, step = {0};
	struct lc_error error;
	char spec[LC_SPEC_MAX + 1];

	CHECK(lc_request_parse(&allocation, "image=a;mount=/s:/d:rw;mount=/t:/e:ro", &error) == 0);
	CHECK(lc_request_set_image(&step, "b", &error) == 0);
	CHECK(lc_request_add_mounts(&step, "/u:/d,/v", &words, &error) == 0);
	step.root = true;
	CHECK(lc_request_merge(&allocation, &step, &error) == 0);
	CHECK(lc_request_format(&allocation, spec, &error) == 0);
	CHECK(strcmp(spec, "image=b;mount=/u:/d:rw;mount=/t:/e:ro;mount=/v:/v:rw;root=1") == 0);
	CHECK(step.mount_count == 2);
	lc_request_clear(&allocation);
	lc_request_clear(&step);
}

static void test_writable(void)
{
	static const struct {
		const char *size, *spec;
	} good[] = {
	    {NULL, "image=a;writable=default"},	      {"1K", "image=a;writable=1024"},
	    {"512m", "image=a;writable=536870912"},   {"4G", "image=a;writable=4294967296"},
	    {"1T", "image=a;writable=1099511627776"},
	};
	static const char *const bad[] = {"",	 "0",	  "0G",	  "-1G",
					  "4",	 "4GB",	  "1.5G", " 4G",
					  "4 G", "2000T", "G",	  "99999999999999999999K"};
	struct lc_error error;
	char spec[LC_SPEC_MAX + 1];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct lc_request request = {0}, merged = {0};
		CHECK(lc_request_set_image(&request, "a", &error) == 0);
		CHECK(lc_request_set_writable(&request, good[i].size, &error) == 0);
		CHECK(lc_request_merge(&merged, &request, &error) == 0);
		CHECK(lc_request_format(&merged, spec, &error) == 0);
		if (!CHECK(strcmp(spec, good[i].spec) == 0))
			printf("  %s\n", spec);
		lc_request_clear(&request);
		lc_request_clear(&merged);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct lc_request request = {0};
		if (!CHECK(lc_request_set_writable(&request, bad[i], &error) < 0 &&
			   strstr(error.text, "sizes look like") != NULL))
			printf("  \"%s\"\n", bad[i]);
	}
}

static void test_texts(void)
{
	struct lc_request allocation = {0}, step = {0};
	struct lc_error error;
	char spec[LC_SPEC_MAX + 1];

	CHECK(lc_request_parse(&allocation, "image=a;workdir=/x", &error) == 0);
	CHECK(lc_request_merge(&allocation, &step, &error) == 0);
	CHECK(strcmp(allocation.texts[LC_WORKDIR], "/x") == 0);
	CHECK(lc_request_set_text(&step, LC_WORKDIR, "//y//z/", &error) == 0);
	CHECK(lc_request_set_text(&step, LC_WORKDIR, "y", &error) < 0 &&
	      error.code == EXIT_REQUEST && strstr(error.text, "\"y\" as working directory"));
	CHECK(lc_request_merge(&allocation, &step, &error) == 0);
	CHECK(lc_request_format(&allocation, spec, &error) == 0);
	CHECK(strcmp(spec, "image=a;workdir=/y/z") == 0);
	lc_request_clear(&allocation);
	lc_request_clear(&step);
}

/* What of a directory a request adds; "" for nothing. */
static void shows(const char *spec, const char *directory, const char *top, const char *home,
		  const char *expected)
{
	struct lc_request request = {0};
	struct lc_error error;

	CHECK(lc_request_parse(&request, spec, &error) == 0);
	bool added = lc_request_show(&request, directory, top, home);
	const char *shown = added ? request.texts[LC_CWD] : "";
	if (!CHECK(shown != NULL && strcmp(shown, expected) == 0))
		printf("  %s in %s gave \"%s\"\n", directory, spec, shown);
	lc_request_clear(&request);
}

static void test_the_directory_is_shown_where_nothing_else_does(void)
{
	shows("image=a", "/none/w", NULL, "/home/me", "/none/w");
	shows("image=a", "/none/w", NULL, NULL, "/none/w");
	shows("image=a;cwd=/x", "/none/w", NULL, "/home/me", "/none/w");
	shows("image=a;mount=/none/w/x:/none/w/x:rw", "/none/w", NULL, "/home/me", "/none/w");
	shows("image=a", "/", NULL, "/home/me", "");
	shows("image=a", "/home/me", NULL, "/home/me", "");
	shows("image=a", "/home/me/x", NULL, "/home/me", "");
	shows("image=a", "/home/meg", NULL, "/home/me", "/home/meg");
	shows("image=a", "/tmp/x", NULL, "/home/me", "");
	shows("image=a", "/proc", NULL, "/home/me", "");
	shows("image=a;mount=/x:/none:ro", "/none/w", NULL, "/home/me", "");
	shows("image=a;cwd=/none", "/none/w", NULL, "/home/me", "");
	shows("image=a", "/home/me/x", "/home", "/home/me", "");
}

static void test_a_home_that_is_not_wanted_is_not_shown(void)
{
	shows("image=a;home=no", "/home/me/x", "/home", "/home/me", "/home/me/x");
	shows("image=a;home=no", "/home/me/x", "/home/me", "/home/me", "/home/me/x");
	shows("image=a;home=no", "/home/me", "/home", "/home/me", "");
	shows("image=a;home=no", "/home", "/home", "/home/me", "");
	shows("image=a;home=no", "/s/w", "/s", "/home/me", "/s");
	shows("image=a;home=/h", "/home/me/x", "/home", "/home/me", "");
}

static void test_home_and_variables(void)
{
	struct lc_request request = {0};
	struct lc_error error;

	CHECK(lc_request_set_home(&request, "~/other/", &words, &error) == 0);
	CHECK(strcmp(request.texts[LC_HOME], "/home/me/other") == 0);
	CHECK(lc_request_set_home(&request, "./h", &words, &error) == 0);
	CHECK(strcmp(request.texts[LC_HOME], "/w/x/h") == 0);
	CHECK(lc_request_set_home(&request, "$X/h", &words, &error) < 0);
	CHECK(strstr(error.text, "only ~, $HOME") != NULL);
	CHECK(lc_request_set_home(&request, "no", &words, &error) == 0);
	CHECK(strcmp(request.texts[LC_HOME], "no") == 0);
	CHECK(lc_request_add_text(&request, LC_ENV, "A,B", &error) == 0);
	CHECK(lc_request_add_text(&request, LC_ENV, "C", &error) == 0);
	CHECK(strcmp(request.texts[LC_ENV], "A,B,C") == 0);
	CHECK(lc_request_add_text(&request, LC_ENV, "SLURM_X", &error) < 0);
	CHECK(strstr(error.text, "no image may set") != NULL);
	lc_request_clear(&request);
}

static void test_devices_are_named_by_vendor_class_and_name(void)
{
	static const char *const wrong[] = {
	    "",		"gpu",		"nvidia.com/gpu", "nvidia.com/gpu=", "/gpu=0",
	    "a/=0",	"a/b=0,",	",a/b=0",	  "a/b=0,c",	     "a b/c=0",
	    "a/b=../c", "a/b=x;root=1", "a./b=0",	  "a/b/c=0",
	};
	struct lc_request request = {0};
	struct lc_error error;

	CHECK(lc_request_add_text(&request, LC_DEVICE, "nvidia.com/gpu=0:1", &error) == 0);
	CHECK(lc_request_add_text(&request, LC_DEVICE, "amd.com/gpu=a-1,x/y=all", &error) == 0);
	CHECK(strcmp(request.texts[LC_DEVICE], "nvidia.com/gpu=0:1,amd.com/gpu=a-1,x/y=all") == 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(lc_request_add_text(&request, LC_DEVICE, wrong[i], &error) < 0);
	CHECK(strstr(error.text, "not VENDOR/CLASS=NAME") != NULL);
	lc_request_clear(&request);
}

static void test_profiles_are_taken_or_left_by_their_names(void)
{
	static const char *const wrong[] = {"",	    "nccl",  "+",   "-",   "+a,", ",+a", "+a b",
					    "+a;x", "+../a", "+-a", "++a", "+_a", "+a,b"};
	struct lc_request request = {0};
	struct lc_error error;
	char longest[LC_PROFILE_MAX + 3];

	CHECK(lc_request_add_text(&request, LC_PROFILE, "+nccl,-cxi_2", &error) == 0);
	CHECK(lc_request_add_text(&request, LC_PROFILE, "+A-1", &error) == 0);
	CHECK(strcmp(request.texts[LC_PROFILE], "+nccl,-cxi_2,+A-1") == 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CHECK(lc_request_add_text(&request, LC_PROFILE, wrong[i], &error) < 0);
	CHECK(strstr(error.text, "not +NAME or -NAME") != NULL);
	memset(longest, 'a', sizeof(longest));
	longest[0] = '+';
	longest[LC_PROFILE_MAX + 2] = '\0';
	CHECK(lc_request_set_text(&request, LC_PROFILE, longest, &error) < 0);
	longest[LC_PROFILE_MAX + 1] = '\0';
	CHECK(lc_request_set_text(&request, LC_PROFILE, longest, &error) == 0);
	lc_request_clear(&request);
}

static void test_all_of_a_file_system_is_shown_where_that_does_no_harm(void)
{
	shows("image=a", "/s/w/x", "/s", "/home/me", "/s");
	shows("image=a;cwd=/s/w", "/s/v", "/s", "/home/me", "/s");
	shows("image=a;mount=/a:/s/data:rw", "/s/w", "/s", "/home/me", "/s/w");
	shows("image=a;mount=/a:/sx:rw", "/s/w", "/s", "/home/me", "/s");
	shows("image=a", "/home/you/x", "/home", "/home/me", "/home/you/x");
	shows("image=a", "/home/you/x", "/home", NULL, "/home");
}

static void test_parse(void)
{
	static const char *const good[] = {
	    "image=deb:12",
	    "image=a;root=1",
	    "image=a;root=1;writable=default",
	    "image=a;root=1;entrypoint=1;workdir=/a",
	    "image=a;writable=1048576",
	    "image=a;mount=/a%3Ab:/c:ro;mount=/%25%3B%20:/d:rw;root=1",
	    "image=a;workdir=image",
	    "image=a;mount=image:bob/x:1@sha256:ab:/d:ro;mount=/a:/b:rw",
	    "image=a;cwd=/a;workdir=image",
	    "image=a;cwd=/a;home=no;workdir=/b;env=A,_b2",
	    "image=a;home=/h",
	    "image=a;root=1;workdir=/a:%20b",
	};
	static const char *const bad[] = {
	    "",
	    "image",
	    "mount=/a:/a:rw",
	    "image=a;",
	    ";image=a",
	    "image=a;image=b",
	    "image=a;root=1;root=1",
	    "image=a;entrypoint=1;entrypoint=1",
	    "image=a;entrypoint=0",
	    "entrypoint=1",
	    "image=a;root=0",
	    "image=a;writable=0",
	    "image=a;writable=",
	    "image=a;writable=1M",
	    "image=a;writable=-1",
	    "image=a;writable=99999999999999999999",
	    "image=a;writable=1;writable=1",
	    "writable=1",
	    "image=a;color=red",
	    "image=a;mount=/a",
	    "image=a;mount=/a:/b",
	    "image=a;mount=/a:/b:rx",
	    "image=a;mount=/a:/b:rww",
	    "image=a;mount=/a:/b:ro:",
	    "image=a;mount=/a/../b:/b:ro",
	    "image=a;mount=a:/b:ro",
	    "image=a;mount=/a:/:ro",
	    "image=a;mount=/a%00:/b:ro",
	    "image=a;mount=/a%3a:/b:ro",
	    "image=a;mount=/a%3:/b:ro",
	    "image=a;mount=/a%:/b:ro",
	    "image=a;mount=/a b:/b:ro",
	    "image=a;mount=image:x:/d:rw",
	    "image=a;mount=image:x:d:ro",
	    "image=a;mount=image::/d:ro",
	    "image=a;mount=image:/d:ro",
	    "image=a;mount=image:x%20y:/d:ro",
	    "image=a;mount=image:x:/..:ro",
	    "image=a;workdir=",
	    "image=a;workdir",
	    "image=a;workdir=a",
	    "image=a;cwd=a",
	    "image=a;home=/",
	    "image=a;home=//",
	    "image=a;home=yes",
	    "image=a;home=no;home=no",
	    "image=a;env=",
	    "image=a;env=A,",
	    "image=a;env=,A",
	    "image=a;env=A=1",
	    "image=a;env=1A",
	    "image=a;env=A;env=A",
	    "image=a;env=HOME",
	    "image=a;cwd=/a/../b",
	    "image=a;cwd=/a;cwd=/a",
	    "image=a;workdir=/a;workdir=/a",
	    "workdir=/a",
	    "image=a\n",
	    "image=a%3",
	};
	struct lc_error error;
	char spec[LC_SPEC_MAX + 1];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct lc_request request = {0};
		CHECK(lc_request_parse(&request, good[i], &error) == 0);
		CHECK(lc_request_format(&request, spec, &error) == 0);
		CHECK(strcmp(spec, good[i]) == 0);
		lc_request_clear(&request);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct lc_request request = {0};
		if (!CHECK(lc_request_parse(&request, bad[i], &error) < 0 &&
			   error.code == EXIT_REQUEST))
			printf("  accepted %s\n", bad[i]);
		lc_request_clear(&request);
	}
	char *endless = malloc(LC_SPEC_MAX + 2);
	struct lc_request request = {0};
	memset(endless, 'a', LC_SPEC_MAX + 1);
	endless[LC_SPEC_MAX + 1] = '\0';
	CHECK(lc_request_parse(&request, endless, &error) < 0);
	free(endless);
}

int main(void)
{
	test_mounts();
	test_words();
	test_refused_mounts();
	test_images_are_mounted();
	test_a_directory_may_be_called_image();
	test_limits();
	test_images();
	test_a_default_image();
	test_merge();
	test_writable();
	test_texts();
	test_home_and_variables();
	test_devices_are_named_by_vendor_class_and_name();
	test_profiles_are_taken_or_left_by_their_names();
	test_a_home_that_is_not_wanted_is_not_shown();
	test_the_directory_is_shown_where_nothing_else_does();
	test_all_of_a_file_system_is_shown_where_that_does_no_harm();
	test_parse();
	return summary();
}
