/*
 * What users give to options and what comes in variables of the environment: whatever is accepted
 * is written as a spec, and comes out of that unchanged. The first byte says which.
 */
#include "image.h"
#include "request.h"
#include "shared/test/fuzz.h"

#include <limits.h>

static bool same_mount(const struct lc_mount *one, const struct lc_mount *other)
{
	return strcmp(one->source, other->source) == 0 &&
	       strcmp(one->destination, other->destination) == 0 &&
	       one->writable == other->writable && one->image == other->image;
}

static bool same(const struct lc_request *one, const struct lc_request *other)
{
	if ((one->image == NULL) != (other->image == NULL) ||
	    (one->image != NULL && strcmp(one->image, other->image) != 0) ||
	    one->default_image != other->default_image || one->root != other->root ||
	    one->mount_count != other->mount_count)
		return false;
	for (size_t i = 0; i < LC_TEXTS; i++)
		if ((one->texts[i] == NULL) != (other->texts[i] == NULL) ||
		    (one->texts[i] != NULL && strcmp(one->texts[i], other->texts[i]) != 0))
			return false;
	for (size_t i = 0; i < one->mount_count; i++)
		if (!same_mount(&one->mounts[i], &other->mounts[i]))
			return false;
	return true;
}

/* What the holder relies on. */
static void check_path(const char *path)
{
	INSIST(path[0] == '/' && strlen(path) < PATH_MAX && strstr(path, "//") == NULL);
	INSIST(strstr(path, "/../") == NULL && strstr(path, "/./") == NULL);
	INSIST(path[1] == '\0' || path[strlen(path) - 1] != '/');
}

static void check_mount(const struct lc_mount *mount)
{
	if (mount->image)
		INSIST(mount->source[0] != '\0' && strlen(mount->source) <= LC_IMAGE_MAX &&
		       !mount->writable);
	else
		check_path(mount->source);
	check_path(mount->destination);
	INSIST(strcmp(mount->destination, "/") != 0 && strcmp(mount->destination, "/proc") != 0 &&
	       strncmp(mount->destination, "/proc/", 6) != 0);
}

static void check_request(const struct lc_request *request)
{
	char *spec = malloc(LC_SPEC_MAX + 1), *again = malloc(LC_SPEC_MAX + 1);
	struct lc_request copy = {0};
	struct lc_error error;

	INSIST(spec != NULL && again != NULL && request->mount_count <= LC_MOUNTS_MAX);
	size_t images = 0;
	for (size_t i = 0; i < request->mount_count; i++) {
		images += request->mounts[i].image ? 1 : 0;
		INSIST(images <= LC_IMAGE_MOUNTS_MAX);
		check_mount(&request->mounts[i]);
		for (size_t j = 0; j < i; j++)
			INSIST(strcmp(request->mounts[i].destination,
				      request->mounts[j].destination) != 0);
	}
	if (request->texts[LC_CWD] != NULL)
		check_path(request->texts[LC_CWD]);
	if (request->texts[LC_WORKDIR] != NULL &&
	    strcmp(request->texts[LC_WORKDIR], LC_WORKDIR_OF_IMAGE) != 0)
		check_path(request->texts[LC_WORKDIR]);
	if (lc_request_has_container(request) && lc_request_format(request, spec, &error) == 0) {
		INSIST(strlen(spec) <= LC_SPEC_MAX && strpbrk(spec, " \n\t") == NULL);
		INSIST(lc_request_parse(&copy, spec, &error) == 0 && same(request, &copy));
		INSIST(lc_request_format(&copy, again, &error) == 0 && strcmp(spec, again) == 0);
	}
	lc_request_clear(&copy);
	free(spec);
	free(again);
}

static void check_refusal(int result, const struct lc_error *error)
{
	INSIST(result == 0 || ((error->code == EXIT_REQUEST || error->code == EXIT_MISSING) &&
			       error->text[0] != '\0' && strchr(error->text, '\n') == NULL));
}

static const struct lc_words words = {"/home/me", "/w", "/submit", "me"};

static void read_options(struct input *input, struct lc_request *request)
{
	struct lc_error error;

	while (input->left > 0) {
		char *text = take_text(input);
		check_refusal(lc_request_set_image(request, text, &error), &error);
		check_refusal(lc_request_add_mounts(request, text, &words, &error), &error);
		for (size_t i = 0; i < LC_TEXTS; i++)
			check_refusal(lc_request_set_text(request, (enum lc_text)i, text, &error),
				      &error);
		free(text);
	}
	if (request->image == NULL)
		INSIST(lc_request_set_image(request, "deb:12", &error) == 0);
}

static void read_spec(struct input *input, struct lc_request *request)
{
	char *text = take_text(input);
	struct lc_error error;

	check_refusal(lc_request_parse(request, text, &error), &error);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {.at = data, .left = size};
	struct lc_request request = {0}, other = {0};
	struct lc_error error;
	uint32_t which = take_number(&input, 1);

	request.root = which == 'r';
	if (which == 's' || which == 'm')
		read_spec(&input, &request);
	if (which != 's') {
		read_options(&input, &other);
		check_request(&other);
		check_refusal(lc_request_merge(&request, &other, &error), &error);
	}
	check_request(&request);
	lc_request_clear(&request);
	lc_request_clear(&other);
	return 0;
}
