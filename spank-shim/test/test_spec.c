/* The text of specs, which the holder reads as root: what is a value and a mount, and what is not.
 */
#include "shared/spec.h"
#include "shared/test/check.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES = 255 };

/* Parses a copy of exactly this size, so that the sanitizer sees a byte read too far. */
static int parse_mount(const char *text, struct lc_mount *mount)
{
	size_t length = strlen(text);
	char *copy = malloc(length > 0 ? length : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, text, length);
	int result = lc_spec_parse_mount(copy, length, mount);
	free(copy);
	return result;
}

static void test_every_byte_of_a_path_comes_back(void)
{
	char path[BYTES + 1], spec[8 * BYTES];
	struct lc_mount mount = {.source = path, .destination = path}, again;
	struct lc_spec_text text = {.at = spec, .left = sizeof(spec) - 1};

	for (int i = 0; i < BYTES; i++)
		path[i] = (char)(i + 1);
	path[BYTES] = '\0';
	lc_spec_put_mount(&text, &mount);
	*text.at = '\0';
	CHECK(!text.full);
	if (!CHECK(parse_mount(spec, &again) == 0))
		return;
	CHECK(strcmp(again.source, path) == 0 && strcmp(again.destination, path) == 0);
	CHECK(!again.writable);
	lc_mount_clear(&again);
	CHECK(again.source == NULL && again.destination == NULL);
}

static void test_values_written_otherwise_are_refused(void)
{
	static const char *const bad[] = {"%",	  "%4", "%4x", "%4a", "%00",  "%%41", " ",
					  "\x7f", "\n", ";",   "a b", "\x80", "%-1",  "% 1"};
	char *value = lc_spec_parse_value("a%41%C3:", 8);

	if (CHECK(value != NULL))
		CHECK(strcmp(value, "aA\xc3:") == 0);
	free(value);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(lc_spec_parse_value(bad[i], strlen(bad[i])) == NULL);
	CHECK(lc_spec_parse_value("%41", 2) == NULL);
}

static void test_mounts_written_otherwise_are_refused(void)
{
	static const char *const bad[] = {"",
					  ":",
					  "::",
					  "/a",
					  "/a:/b",
					  "/a:/b:",
					  "/a:/b:r",
					  "/a:/b:rx",
					  "/a:/b:row",
					  "/a:/b:ro:",
					  "/a:/b:c:ro",
					  "/a:/%:rw",
					  "/%0:/b:rw",
					  "ro",
					  ":ro",
					  "image:x:/b:rw",
					  "image:x:/b",
					  "image:x:/%:ro",
					  "image:%:/b:ro",
					  "images:x:/b:ro",
					  "Image:x:/b:ro"};
	struct lc_mount mount;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!CHECK(parse_mount(bad[i], &mount) < 0 && mount.source == NULL &&
			   mount.destination == NULL))
			printf("  accepted %s\n", bad[i]);
	CHECK(parse_mount("::rw", &mount) == 0 && mount.source[0] == '\0' && mount.writable);
	lc_mount_clear(&mount);
}

static void test_the_name_of_an_image_has_colons(void)
{
	static const char value[] = "image:bob/x:1@sha256:ab:/a%3Ab:ro";
	char again[sizeof(value)];
	struct lc_spec_text text = {.at = again, .left = sizeof(again)};
	struct lc_mount mount;

	if (!CHECK(parse_mount(value, &mount) == 0))
		return;
	CHECK(mount.image && !mount.writable);
	CHECK(strcmp(mount.source, "bob/x:1@sha256:ab") == 0);
	CHECK(strcmp(mount.destination, "/a:b") == 0);
	lc_spec_put_mount(&text, &mount);
	CHECK(!text.full && memcmp(again, value, strlen(value)) == 0);
	lc_mount_clear(&mount);
	CHECK(parse_mount("image:/b:rw", &mount) == 0);
	CHECK(!mount.image && strcmp(mount.source, "image") == 0);
	lc_mount_clear(&mount);
}

static void test_what_does_not_fit_is_not_written(void)
{
	char spec[5] = "....";
	struct lc_spec_text text = {.at = spec, .left = 3};

	lc_spec_put(&text, "ab");
	lc_spec_put_value(&text, " "); /* of which no part is written either */
	lc_spec_put(&text, "c");
	CHECK(text.full && text.at == spec + 2 && strcmp(spec, "ab..") == 0);
}

int main(void)
{
	test_every_byte_of_a_path_comes_back();
	test_values_written_otherwise_are_refused();
	test_mounts_written_otherwise_are_refused();
	test_the_name_of_an_image_has_colons();
	test_what_does_not_fit_is_not_written();
	return summary();
}
