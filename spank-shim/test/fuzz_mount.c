/* Values and mounts of specs, which the holder reads as root: what is read is written as it was. */
#include "shared/spec.h"
#include "shared/test/fuzz.h"

/* Not ended by a NUL: the sanitizer sees any byte that is read too far. */
static char *copy_bytes(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size > 0 ? size : 1);

	INSIST(bytes != NULL);
	if (size > 0)
		memcpy(bytes, data, size);
	return bytes;
}

static void check_value(const char *text, size_t size)
{
	char *value = lc_spec_parse_value(text, size), *again;

	if (value == NULL)
		return;
	size_t room = 3 * strlen(value);
	char *spec = malloc(room + 1);
	struct lc_spec_text to = {.at = spec, .left = room};
	INSIST(spec != NULL && strlen(value) <= size);
	lc_spec_put_value(&to, value);
	INSIST(!to.full);
	again = lc_spec_parse_value(spec, (size_t)(to.at - spec));
	INSIST(again != NULL && strcmp(again, value) == 0);
	free(again);
	free(spec);
	free(value);
}

static void check_mount(const char *text, size_t size)
{
	struct lc_mount mount, again;

	if (lc_spec_parse_mount(text, size, &mount) < 0) {
		INSIST(mount.source == NULL && mount.destination == NULL);
		return;
	}
	size_t room = 3 * size + 3;
	char *spec = malloc(room);
	struct lc_spec_text to = {.at = spec, .left = room};
	INSIST(spec != NULL);
	lc_spec_put_mount(&to, &mount);
	INSIST(!to.full);
	INSIST(lc_spec_parse_mount(spec, (size_t)(to.at - spec), &again) == 0);
	INSIST(strcmp(again.source, mount.source) == 0 &&
	       strcmp(again.destination, mount.destination) == 0 &&
	       again.writable == mount.writable && again.image == mount.image &&
	       !(mount.image && mount.writable));
	/* Less room: what does not fit is said to, and nothing is written behind it. */
	struct lc_spec_text small = {.at = spec, .left = size / 2};
	spec[size / 2] = '!';
	lc_spec_put_mount(&small, &mount);
	INSIST(spec[size / 2] == '!' && small.at <= spec + size / 2);
	lc_mount_clear(&mount);
	lc_mount_clear(&again);
	free(spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = copy_bytes(data, size);

	check_value(bytes, size);
	check_mount(bytes, size);
	free(bytes);
	return 0;
}
