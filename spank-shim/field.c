#define _GNU_SOURCE
#include "field.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char other_words[] =
    "only ~, $HOME, $PWD, $SLURM_SUBMIT_DIR and $USER are replaced when you submit, where they are "
    "set (write \\$ or \\~ for the character)";

/* Whether the name of a variable, of this length, is this one. */
static bool is_name(const char *name, size_t length, const char *wanted)
{
	return strlen(wanted) == length && strncmp(name, wanted, length) == 0;
}

/* Returns NULL for a variable that is none of ours. */
static const char *value_of(const struct lc_words *words, const char *name, size_t length)
{
	if (is_name(name, length, "HOME"))
		return words->home;
	if (is_name(name, length, "PWD"))
		return words->directory;
	if (is_name(name, length, "SLURM_SUBMIT_DIR"))
		return words->submit_directory;
	return is_name(name, length, "USER") ? words->user : NULL;
}

/* At a dollar: moves *text behind NAME or {NAME}. */
static const char *take_variable(const char **text, const struct lc_words *words)
{
	bool braces = (*text)[1] == '{';
	const char *name = *text + (braces ? 2 : 1);
	size_t length = strspn(name, LC_NAME_CHARACTERS);

	if (braces && name[length] != '}')
		return NULL;
	*text = name + length + (braces ? 1 : 0);
	return value_of(words, name, length);
}

/* At a tilde: one of another user is none of ours. */
static const char *take_home(const char **text, const char *ends, const struct lc_words *words)
{
	(*text)++;
	return **text == '/' || **text == '\0' || strchr(ends, **text) != NULL ? words->home : NULL;
}

static const char *take_piece(const char **text, const char *ends, const struct lc_words *words,
			      bool first, char plain[2])
{
	if (first && **text == '~')
		return take_home(text, ends, words);
	if (**text == '$')
		return take_variable(text, words);
	if (**text == '\\' && (*text)[1] != '\0' && strchr(",:\\$~", (*text)[1]) != NULL)
		(*text)++;
	plain[0] = *(*text)++;
	plain[1] = '\0';
	return plain;
}

char *lc_take_field(const char **text, const char *ends, const struct lc_words *words,
		    const char **problem)
{
	char *field = NULL, plain[2];
	size_t size;
	FILE *out = open_memstream(&field, &size);
	bool failed = out == NULL;

	for (bool first = true; !failed && **text != '\0' && strchr(ends, **text) == NULL;
	     first = false) {
		const char *piece = take_piece(text, ends, words, first, plain);
		if (piece == NULL)
			*problem = other_words;
		failed = piece == NULL || fputs(piece, out) < 0;
	}
	if (out != NULL && fclose(out) != 0)
		failed = true;
	if (!failed)
		return field;
	free(field);
	return NULL;
}

/* Removes "." everywhere from a relative path, and takes what begins it upwards off `base`. */
static void resolve(char *base, char *path)
{
	char *to = path;
	bool climbing = true;

	for (char *part = path, *end; *part != '\0'; part = end) {
		part += strspn(part, "/");
		size_t length = strcspn(part, "/");
		end = part + length;
		if (length == 0 || (length == 1 && part[0] == '.'))
			continue;
		if (climbing && length == 2 && strncmp(part, "..", 2) == 0) {
			char *slash = strrchr(base, '/');
			if (slash != NULL)
				*slash = '\0';
			continue;
		}
		climbing = false;
		if (to != path)
			*to++ = '/';
		memmove(to, part, length);
		to += length;
	}
	*to = '\0';
}

char *lc_make_absolute(const char *path, const struct lc_words *words)
{
	char *absolute = NULL;

	if (path[0] == '/' || path[0] == '\0' || words->directory == NULL)
		return strdup(path);
	char *base = strdup(words->directory), *rest = strdup(path);
	if (base != NULL && rest != NULL) {
		resolve(base, rest);
		if (asprintf(&absolute, "%s/%s", base, rest) < 0)
			absolute = NULL;
	}
	free(base);
	free(rest);
	return absolute;
}
