/* What of others' text reaches a terminal. */
#include "shared/error.h"
#include "shared/printable.h"
#include "shared/test/check.h"

#include <string.h>

static bool becomes(const char *text, const char *expected)
{
	char copy[256];

	strcpy(copy, text);
	lc_make_printable(copy);
	if (strcmp(copy, expected) != 0)
		printf("\"%s\", not \"%s\"\n", copy, expected);
	return strcmp(copy, expected) == 0;
}

static void test_text_of_any_language_stays(void)
{
	CHECK(becomes("", "") && becomes("plain ~!", "plain ~!"));
	CHECK(becomes("Grüße, 日本, שלום, 🦀", "Grüße, 日本, שלום, 🦀"));
	CHECK(becomes("\xc2\xa0\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbd",
		      "\xc2\xa0\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbd"));
}

static void test_controls_do_not(void)
{
	CHECK(becomes("a\x1b[2Jb\r\nc\td\x7f", "a?[2Jb??c?d?"));
	CHECK(becomes("\xc2\x85 \xc2\x9b[2J \xc2\x80 \xc2\x9f", "? ?[2J ? ?"));
	CHECK(becomes("\xe2\x80\xa8|\xe2\x80\xa9", "?|?"));
}

static void test_directions_do_not(void)
{
	CHECK(
	    becomes("\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad\xe2\x80\xaelog", "?????log"));
	CHECK(becomes("\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9", "????"));
	CHECK(becomes("\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c.", "???."));
}

static void test_what_is_not_utf8_does_not(void)
{
	CHECK(becomes("\x9b[2J \xff \xe9t\xe9", "?[2J ? ?t?"));
	CHECK(becomes("\xc2", "?") && becomes("\xe2\x80", "??") && becomes("\xf0\x9f\xa6", "???"));
	CHECK(becomes("\xc0\x9b", "??") && becomes("\xe0\x82\x9b", "???")); /* overlong */
	CHECK(becomes("\xed\xa0\x80", "???") && becomes("\xf4\x90\x80\x80", "????"));
	CHECK(becomes("\xf8\x88\x80\x80\x80", "?????"));
}

static void test_errors_are_clean(void)
{
	struct lc_error error;

	CHECK(lc_fail(&error, EXIT_REQUEST, "no \"%s\"",
		      "a\xc2\x9b"
		      "b\xe2\x80\xae") == -1);
	CHECK(strcmp(error.text, "no \"a?b?\"") == 0);
}

int main(void)
{
	test_text_of_any_language_stays();
	test_controls_do_not();
	test_directions_do_not();
	test_what_is_not_utf8_does_not();
	test_errors_are_clean();
	return summary();
}
