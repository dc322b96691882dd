#define _GNU_SOURCE
#include "spec.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void lc_spec_put(struct lc_spec_text *text, const char *bytes)
{
	size_t length = strlen(bytes);

	if (text->full || length > text->left) {
		text->full = true;
		return;
	}
	memcpy(text->at, bytes, length);
	text->at += length;
	text->left -= length;
}

static bool is_plain(unsigned char byte)
{
	return byte > 0x20 && byte < 0x7f && byte != '%' && byte != ';';
}

static void put_escaped(struct lc_spec_text *text, const char *value, bool is_path)
{
	static const char digits[] = "0123456789ABCDEF";

	for (const unsigned char *byte = (const unsigned char *)value; *byte != '\0'; byte++) {
		char piece[4] = {(char)*byte, '\0'};
		if (!is_plain(*byte) || (is_path && *byte == ':')) {
			piece[0] = '%';
			piece[1] = digits[*byte >> 4];
			piece[2] = digits[*byte & 15];
		}
		lc_spec_put(text, piece);
	}
}

void lc_spec_put_value(struct lc_spec_text *text, const char *value)
{
	put_escaped(text, value, false);
}

void lc_spec_put_mount(struct lc_spec_text *text, const struct lc_mount *mount)
{
	if (mount->image) {
		lc_spec_put(text, LC_IMAGE_SOURCE);
		lc_spec_put_value(text, mount->source);
	} else {
		put_escaped(text, mount->source, true);
	}
	lc_spec_put(text, ":");
	put_escaped(text, mount->destination, true);
	lc_spec_put(text, mount->writable ? ":rw" : ":ro");
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

char *lc_spec_parse_value(const char *from, size_t length)
{
	char *value = malloc(length + 1), *to = value;

	for (size_t i = 0; value != NULL && i < length; i++) {
		char byte = from[i];
		if (byte == '%') {
			int high = i + 2 < length ? hex_digit(from[i + 1]) : -1;
			int low = i + 2 < length ? hex_digit(from[i + 2]) : -1;
			byte = (char)(high * 16 + low);
			if (high < 0 || low < 0 || byte == '\0') {
				free(value);
				return NULL;
			}
			i += 2;
		} else if (!is_plain((unsigned char)byte)) {
			free(value);
			return NULL;
		}
		*to++ = byte;
	}
	if (value != NULL)
		*to = '\0';
	return value;
}

/*
 * Whether a mount's source, with the colon behind it, is an image's: of all fields only a name has
 * colons of its own.
 */
static bool is_image(const char *source, size_t length)
{
	size_t prefix = strlen(LC_IMAGE_SOURCE);

	return length > prefix && memcmp(source, LC_IMAGE_SOURCE, prefix) == 0;
}

int lc_spec_parse_mount(const char *value, size_t length, struct lc_mount *mount)
{
	const char *mode = memrchr(value, ':', length);
	const char *colon = mode != NULL ? memrchr(value, ':', (size_t)(mode - value)) : NULL;
	const char *source = value;

	*mount = (struct lc_mount){0};
	if (colon == NULL || value + length - mode != 3 || mode[1] != 'r' ||
	    (mode[2] != 'o' && mode[2] != 'w'))
		return -1;
	bool image = is_image(value, (size_t)(colon - value) + 1);
	if (image ? mode[2] == 'w' : memchr(value, ':', length) != colon)
		return -1;
	if (image)
		source += strlen(LC_IMAGE_SOURCE);
	mount->source = lc_spec_parse_value(source, (size_t)(colon - source));
	mount->destination = lc_spec_parse_value(colon + 1, (size_t)(mode - colon - 1));
	mount->writable = mode[2] == 'w';
	mount->image = image;
	if (mount->source != NULL && mount->destination != NULL)
		return 0;
	lc_mount_clear(mount);
	return -1;
}

void lc_mount_clear(struct lc_mount *mount)
{
	free(mount->source);
	free(mount->destination);
	*mount = (struct lc_mount){0};
}
