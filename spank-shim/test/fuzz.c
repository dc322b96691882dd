/* Throws mutated input at everything that reads what others wrote, for some seconds. */
#include "request.h"
#include "shared/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEED(literal)                                                                              \
	{                                                                                          \
		literal, sizeof(literal) - 1                                                       \
	}
static const struct {
	const char *bytes;
	size_t size;
} seeds[] = {
    SEED("image=deb:12;mount=/a%3Ab:/c:ro;mount=/%25:/d:rw;root=1"),
    SEED("/a\\,b:/c\\:d:ro,/e:rw,//f//:/g"),
    SEED("\0\2\0\3A=1\0\x09PATH=/bin"),
    SEED("\x42\0\x08no image"),
};

static size_t mutate(char *bytes)
{
	size_t which = (size_t)rand() % 4, size = seeds[which].size;

	memcpy(bytes, seeds[which].bytes, size);
	for (int changes = rand() % 6; changes > 0; changes--) {
		size_t at = (size_t)rand() % size;
		switch (rand() % 4) {
		case 0:
			bytes[at] = (char)rand();
			break;
		case 1:
			bytes[at] = ":,;\\%/.=\n"[rand() % 9];
			break;
		case 2:
			size = at + 1;
			break;
		default:
			memmove(bytes + at + 1, bytes + at, size - at);
			size++;
		}
	}
	bytes[size] = '\0';
	return size;
}

/* What is accepted must come out of its own spec unchanged. */
static void check_round_trip(const struct lc_request *request)
{
	char spec[LC_SPEC_MAX + 1], again[LC_SPEC_MAX + 1];
	struct lc_request copy = {0};
	struct lc_error error;

	if (request->image == NULL || lc_request_format(request, spec, &error) < 0)
		return;
	if (lc_request_parse(&copy, spec, &error) < 0 ||
	    lc_request_format(&copy, again, &error) < 0 || strcmp(spec, again) != 0) {
		printf("not canonical: %s\n", spec);
		abort();
	}
	lc_request_clear(&copy);
}

static void try_all(const char *bytes, size_t size)
{
	/* A copy of exactly this size, so that the sanitizer sees any byte read too far. */
	char *text = malloc(size + 1);
	uint8_t *payload = malloc(size);
	struct lc_request request = {0};
	struct lc_container container;
	struct lc_error error;

	memcpy(text, bytes, size + 1);
	memcpy(payload, bytes, size);
	lc_request_parse(&request, text, &error);
	check_round_trip(&request);
	lc_request_clear(&request);
	lc_request_set_image(&request, "x", &error);
	lc_request_add_mounts(&request, text, &error);
	check_round_trip(&request);
	lc_request_clear(&request);
	if (lc_parse_entered(payload, size, &container, &error) == 0)
		lc_container_clear(&container);
	lc_parse_abort(payload, size, &error);
	free(payload);
	free(text);
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 5);
	unsigned long tried = 0;
	char bytes[256];

	srand((unsigned)time(NULL));
	while (time(NULL) < end)
		for (int i = 0; i < 1000; i++, tried++)
			try_all(bytes, mutate(bytes));
	printf("%lu inputs\n", tried);
	return 0;
}
