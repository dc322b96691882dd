/* Argument: the directory with the worked examples of docs/protocol.md. */
#include "shared/test/check.h"
#include "shared/wire.h"
#include "vectors.h"

#include <string.h>

static bool same(const struct lc_frames *frames, const char *vector)
{
	uint8_t bytes[4096];
	size_t size = read_vector("hello", bytes);

	if (vector != NULL)
		size += read_vector(vector, bytes + size);
	return frames->size == size && memcmp(frames->bytes, bytes, size) == 0;
}

static void test_requests(void)
{
	struct lc_frames frames;

	lc_frames_register(&frames, 42, 1001, "image=deb:12;mount=/a%3Ab:/c:ro");
	CHECK(same(&frames, "register"));
	lc_frames_enter(&frames, 42, 0, "image=deb:12");
	CHECK(same(&frames, "enter"));
	lc_frames_session(&frames, 42);
	CHECK(same(&frames, "session"));
	lc_frames_start(&frames, 42, 1001);
	CHECK(memcmp(frames.bytes + 7, "\0\0\0\x09\x11\0\0\0\x2a\0\0\x03\xe9", 13) == 0);
	lc_frames_release(&frames, 42);
	CHECK(frames.size == 7 + 9);
	CHECK(memcmp(frames.bytes + 7, "\0\0\0\x05\x12\0\0\0\x2a", 9) == 0);
}

static void test_replies(void)
{
	uint8_t bytes[4096], *payload = bytes + 5;
	struct lc_container container;
	struct lc_error error;
	size_t size = read_vector("entered", bytes) - 5;

	CHECK(lc_parse_entered(payload, size, &container, &error) == 0);
	CHECK(strcmp(container.environment[0], "A=1") == 0);
	CHECK(strcmp(container.environment[1], "PATH=/bin") == 0);
	CHECK(container.environment[2] == NULL);
	lc_container_clear(&container);
	for (size_t shorter = 0; shorter < size; shorter++)
		CHECK(lc_parse_entered(payload, shorter, &container, &error) < 0);
	payload[size] = 0;
	CHECK(lc_parse_entered(payload, size + 1, &container, &error) < 0);
	CHECK(lc_parse_entered((const uint8_t *)"\0\0", 2, &container, &error) == 0);
	lc_container_clear(&container);
	CHECK(lc_parse_entered((const uint8_t *)"\0\1\0\2AB", 6, &container, &error) < 0);
	CHECK(lc_parse_entered((const uint8_t *)"\0\1\0\2=B", 6, &container, &error) < 0);
	CHECK(lc_parse_entered((const uint8_t *)"\0\1\0\3A=\0", 7, &container, &error) < 0);
	CHECK(lc_parse_entered((const uint8_t *)"\xff\xff\0\2A=", 6, &container, &error) < 0);

	size = read_vector("abort", bytes) - 5;
	CHECK(lc_parse_abort(payload, size, &error) < 0);
	CHECK(error.code == 66 && strcmp(error.text, "no image") == 0);
	CHECK(lc_parse_abort(payload, size - 1, &error) < 0 && error.code == EXIT_INTERNAL);
	CHECK(lc_parse_abort((const uint8_t *)"\0\0\0", 3, &error) < 0 && error.code != 0);
	CHECK(lc_parse_abort((const uint8_t *)"\x41\0\3a\nb", 6, &error) < 0);
	CHECK(error.code == 65 && strcmp(error.text, "a?b") == 0);
}

int main(int argc, char **argv)
{
	vectors = argc > 1 ? argv[1] : ".";
	test_requests();
	test_replies();
	return summary();
}
