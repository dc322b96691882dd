#include "printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* One character of UTF-8; returns its length, or 0 when it is none. RFC 3629 */
static int decode(const unsigned char *bytes, uint32_t *character)
{
	static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
	int length = bytes[0] < 0x80 ? 1 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;

	if (length == 1) {
		*character = bytes[0];
		return 1;
	}
	if (bytes[0] < 0xc0 || bytes[0] >= 0xf8)
		return 0;
	*character = bytes[0] & (0x7fU >> length);
	for (int i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80) /* as is the NUL at the end */
			return 0;
		*character = *character << 6 | (bytes[i] & 0x3fU);
	}
	if (*character < LEAST[length] || *character > 0x10ffff ||
	    (*character >= 0xd800 && *character < 0xe000))
		return 0;
	return length;
}

static bool is_printable(uint32_t character)
{
	static const struct {
		uint32_t first, last;
	} BAD[] = {
	    {0, 0x1f},	      {0x7f, 0x9f},	/* controls */
	    {0x61c, 0x61c},   {0x200e, 0x200f}, /* marks of direction */
	    {0x2028, 0x202e},			/* ends of lines and paragraphs, embeddings */
	    {0x2066, 0x2069},			/* isolates */
	};

	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		if (character >= BAD[i].first && character <= BAD[i].last)
			return false;
	return true;
}

void lc_make_printable(char *text)
{
	char *from = text, *to = text;

	while (*from != '\0') {
		uint32_t character;
		int length = decode((const unsigned char *)from, &character);
		if (length == 0 || !is_printable(character)) {
			*to++ = '?';
			from += length == 0 ? 1 : length;
			continue;
		}
		memmove(to, from, (size_t)length);
		to += length;
		from += length;
	}
	*to = '\0';
}
