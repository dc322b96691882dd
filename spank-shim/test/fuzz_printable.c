/* What others wrote, before a terminal gets it. */
#include "shared/error.h"
#include "shared/printable.h"
#include "shared/test/fuzz.h"

#include <langinfo.h>
#include <locale.h>
#include <wchar.h>
#include <wctype.h>

/* libc's own opinion: characters, of which none is a control or ends a line. */
static void check_text(const char *text)
{
	static const wchar_t BAD[] = L"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e"
				     L"\u2066\u2067\u2068\u2069\x7f";
	mbstate_t state = {0};
	wchar_t character;

	for (size_t length; *text != '\0'; text += length) {
		length = mbrtowc(&character, text, strlen(text), &state);
		INSIST(length > 0 && length <= 4);
		INSIST(character >= 0x20 && !(character >= 0x80 && character < 0xa0));
		INSIST(wcschr(BAD, character) == NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct input input = {.at = data, .left = size};
	struct lc_error error;

	if (!ready) {
		INSIST(setlocale(LC_CTYPE, "C.UTF-8") != NULL);
		ready = true;
	}
	char *text = take_text(&input);
	char *again = copy_text(text, strlen(text));
	lc_make_printable(text);
	INSIST(strlen(text) <= strlen(again));
	check_text(text);
	/* What has been cut off in the middle of a character, too. */
	INSIST(lc_fail(&error, EXIT_REQUEST, "cannot use \"%s\"", again) < 0);
	check_text(error.text);
	free(again);
	again = copy_text(text, strlen(text));
	lc_make_printable(again);
	INSIST(strcmp(text, again) == 0);
	free(text);
	free(again);
	return 0;
}
