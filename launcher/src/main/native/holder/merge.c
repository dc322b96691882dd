#define _GNU_SOURCE
#include "merge.h"
#include "common/die.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	LONGEST_LINE = 4096,
	OVERFLOW_ID = 65534, /* what an id that is not mapped is shown as, user_namespaces(7) */
};

/* One line of either file. */
struct account {
	const char *line;
	size_t length;
	size_t name_length; /* the name comes first */
	unsigned long id;
};

void open_text(struct text *text)
{
	*text = (struct text){0};
	text->file = open_memstream(&text->bytes, &text->size);
	if (text->file == NULL)
		die(EXIT_INTERNAL, "out of memory");
}

void close_text(struct text *text)
{
	if (ferror(text->file) || fclose(text->file) != 0)
		die(EXIT_INTERNAL, "out of memory");
}

/* Finds the fields of a line; false when it is not one of them. */
static bool parse(struct account *account, size_t fields)
{
	const char *end = account->line + account->length, *field = account->line, *colon;
	char *behind;

	if (account->length == 0 || account->length > LONGEST_LINE)
		return false;
	for (const char *at = account->line; at < end; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return false;
	for (size_t i = 0; i < fields - 1; i++, field = colon + 1) {
		colon = memchr(field, ':', (size_t)(end - field));
		if (colon == NULL)
			return false;
		if (i == 0)
			account->name_length = (size_t)(colon - field);
		if (i != 2 && !(i == 3 && fields == PASSWD_FIELDS))
			continue;
		unsigned long id = strtoul(field, &behind, 10);
		if (field[0] < '0' || field[0] > '9' || behind != colon || id >= UINT32_MAX ||
		    (field[0] == '0' && colon != field + 1))
			return false;
		account->id = i == 2 ? id : account->id;
	}
	return memchr(field, ':', (size_t)(end - field)) == NULL && account->name_length > 0 &&
	       strchr("+-", account->line[0]) == NULL; /* those that have more elsewhere */
}

/* The next good line. A last one without its end may be cut off, and is none. */
static bool next(const char **at, const char *end, size_t fields, struct account *account)
{
	const char *newline;

	while ((newline = memchr(*at, '\n', (size_t)(end - *at))) != NULL) {
		*account = (struct account){.line = *at, .length = (size_t)(newline - *at)};
		*at = newline + 1;
		if (parse(account, fields))
			return true;
	}
	return false;
}

static bool is_own(const struct accounts *accounts, const struct account *account)
{
	for (size_t i = 0; i < accounts->name_count; i++)
		if (strlen(accounts->names[i]) == account->name_length &&
		    memcmp(account->line, accounts->names[i], account->name_length) == 0)
			return true;
	return account->id == accounts->id;
}

void merge_accounts(const struct accounts *accounts, const char *others, size_t size,
		    struct text *merged)
{
	bool has_root = accounts->first.size > 0, has_nobody = false;
	const char *at = others;
	struct account account;

	open_text(merged);
	fputs(accounts->first.bytes, merged->file);
	while (next(&at, others + size, accounts->fields, &account)) {
		if (is_own(accounts, &account))
			continue;
		has_root |= account.id == 0;
		has_nobody |= account.id == OVERFLOW_ID;
		fprintf(merged->file, "%.*s\n", (int)account.length, account.line);
	}
	fprintf(merged->file, "%s%s%s", has_root ? "" : accounts->root,
		has_nobody ? "" : accounts->nobody, accounts->last.bytes);
	close_text(merged);
}

bool has_lines(const char *others, size_t size, const char *lines)
{
	for (const char *line = lines; *line != '\0';) {
		size_t length = strcspn(line, "\n") + 1;
		const char *at = others, *end = others + size;
		while (at != NULL &&
		       ((size_t)(end - at) < length || memcmp(at, line, length) != 0)) {
			at = memchr(at, '\n', (size_t)(end - at));
			at = at == NULL ? NULL : at + 1;
		}
		if (at == NULL)
			return false;
		line += length;
	}
	return true;
}
