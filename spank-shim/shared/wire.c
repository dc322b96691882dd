#define _GNU_SOURCE
#include "wire.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- writing --- */

static void put_number(struct lc_frames *frames, uint32_t value, int bytes)
{
	while (bytes-- > 0)
		frames->bytes[frames->size++] = (uint8_t)(value >> (8 * bytes));
}

static void put_text(struct lc_frames *frames, const char *text)
{
	size_t length =
	    strnlen(text, LC_SPEC_MAX + 1); /* one too many is for the launcher to refuse */

	put_number(frames, (uint32_t)length, 2);
	memcpy(frames->bytes + frames->size, text, length);
	frames->size += length;
}

/* Returns where the frame starts, for end_frame. */
static size_t begin_frame(struct lc_frames *frames, enum lc_type type)
{
	size_t start = frames->size;

	frames->size += 4;
	put_number(frames, (uint32_t)type, 1);
	return start;
}

static void end_frame(struct lc_frames *frames, size_t start)
{
	size_t end = frames->size;

	frames->size = start;
	put_number(frames, (uint32_t)(end - start - 4), 4);
	frames->size = end;
}

static size_t begin_request(struct lc_frames *frames, enum lc_type type)
{
	frames->size = 0;
	size_t hello = begin_frame(frames, LC_HELLO);
	put_number(frames, 1, 2);
	end_frame(frames, hello);
	return begin_frame(frames, type);
}

void lc_frames_register(struct lc_frames *frames, uint32_t job, uint32_t uid, const char *spec)
{
	size_t start = begin_request(frames, LC_REGISTER);

	put_number(frames, job, 4);
	put_number(frames, uid, 4);
	put_text(frames, spec);
	end_frame(frames, start);
}

void lc_frames_start(struct lc_frames *frames, uint32_t job, uint32_t uid)
{
	size_t start = begin_request(frames, LC_START);

	put_number(frames, job, 4);
	put_number(frames, uid, 4);
	end_frame(frames, start);
}

void lc_frames_release(struct lc_frames *frames, uint32_t job)
{
	size_t start = begin_request(frames, LC_RELEASE);

	put_number(frames, job, 4);
	end_frame(frames, start);
}

void lc_frames_enter(struct lc_frames *frames, uint32_t job, uint32_t step, const char *spec)
{
	size_t start = begin_request(frames, LC_ENTER);

	put_number(frames, job, 4);
	put_number(frames, step, 4);
	put_text(frames, spec);
	end_frame(frames, start);
}

void lc_frames_session(struct lc_frames *frames, uint32_t job)
{
	size_t start = begin_request(frames, LC_SESSION);

	put_number(frames, job, 4);
	end_frame(frames, start);
}

/* --- reading --- */

/* What is left of a payload. Once it has failed, everything read is zero or NULL. */
struct reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static uint32_t get_number(struct reader *reader, int bytes)
{
	uint32_t value = 0;

	if (reader->failed || reader->left < (size_t)bytes) {
		reader->failed = true;
		return 0;
	}
	reader->left -= (size_t)bytes;
	while (bytes-- > 0)
		value = value << 8 | *reader->at++;
	return value;
}

/* Copies a text to *to, ends it with NUL and moves *to behind that. */
static char *get_text(struct reader *reader, char **to)
{
	size_t length = get_number(reader, 2);
	char *text = *to;

	if (reader->failed || reader->left < length || memchr(reader->at, '\0', length) != NULL) {
		reader->failed = true;
		return NULL;
	}
	memcpy(text, reader->at, length);
	text[length] = '\0';
	reader->at += length;
	reader->left -= length;
	*to += length + 1;
	return text;
}

int lc_malformed_reply(struct lc_error *error)
{
	return lc_fail(error, EXIT_INTERNAL,
		       "the launcher sent a malformed reply (are plugin and launcher of the same "
		       "release?)");
}

int lc_parse_entered(const uint8_t *payload, size_t size, struct lc_container *container,
		     struct lc_error *error)
{
	struct reader reader = {.at = payload, .left = size};
	size_t count = get_number(&reader, 2);
	char *to;

	*container = (struct lc_container){.user_namespace = -1, .mount_namespace = -1};
	if (reader.failed || count * 2 > reader.left)
		return lc_malformed_reply(error);
	container->environment = calloc(count + 1, sizeof(char *));
	container->text = to = malloc(size); /* each text grows by a NUL and loses its length */
	if (container->environment == NULL || container->text == NULL) {
		lc_container_clear(container);
		return lc_fail(error, EXIT_INTERNAL, "out of memory");
	}
	for (size_t i = 0; i < count && !reader.failed; i++) {
		char *text = get_text(&reader, &to);
		container->environment[i] = text;
		if (text == NULL || text[0] == '=' || strchr(text, '=') == NULL)
			reader.failed = true;
	}
	if (reader.failed || reader.left != 0) {
		lc_container_clear(container);
		return lc_malformed_reply(error);
	}
	return 0;
}

int lc_parse_abort(const uint8_t *payload, size_t size, struct lc_error *error)
{
	struct reader reader = {.at = payload, .left = size};
	int code = (int)get_number(&reader, 1);
	char *to = malloc(size + 1), *text = NULL;

	if (to == NULL)
		return lc_fail(error, EXIT_INTERNAL, "out of memory");
	char *buffer = to;
	text = get_text(&reader, &to);
	if (reader.failed || reader.left != 0 || code == 0)
		lc_malformed_reply(error); /* code 0 would be a success that did not happen */
	else
		lc_fail(error, code, "%s", text);
	free(buffer);
	return -1;
}

char *lc_parse_progress(const uint8_t *payload, size_t size, struct lc_error *error)
{
	struct reader reader = {.at = payload, .left = size};
	char *line = malloc(size + 1), *to = line;

	if (line == NULL) {
		lc_fail(error, EXIT_INTERNAL, "out of memory");
		return NULL;
	}
	if (get_text(&reader, &to) != NULL && reader.left == 0)
		return line;
	free(line);
	lc_malformed_reply(error);
	return NULL;
}

const char *lc_container_find(const struct lc_container *container, const char *name)
{
	size_t length = strlen(name);

	for (char **entry = container->environment; *entry != NULL; entry++)
		if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
			return *entry + length + 1;
	return NULL;
}

void lc_container_clear(struct lc_container *container)
{
	if (container->user_namespace >= 0)
		close(container->user_namespace);
	if (container->mount_namespace >= 0)
		close(container->mount_namespace);
	free(container->environment);
	free(container->text);
	*container = (struct lc_container){.user_namespace = -1, .mount_namespace = -1};
}
