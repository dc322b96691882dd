/*
 * An image's passwd or group, as any bytes: what comes out has whole lines of the right form only,
 * the user once, root and nobody at least once, and does not change when it is merged again.
 */
#include "holder/merge.h"
#include "shared/test/fuzz.h"

static size_t count(const char *text, const char *part)
{
	size_t found = 0;

	for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
		found++;
	return found;
}

static void check_line(const char *line, size_t length, size_t fields)
{
	size_t colons = 0;

	for (size_t i = 0; i < length; i++) {
		INSIST((unsigned char)line[i] >= ' ' && line[i] != 0x7f);
		colons += line[i] == ':';
	}
	INSIST(colons == fields - 1 && line[0] != ':' && line[0] != '+' && line[0] != '-');
}

static void check_lines(const struct text *text, size_t fields)
{
	INSIST(text->size == strlen(text->bytes));
	for (const char *line = text->bytes; *line != '\0';) {
		const char *end = strchr(line, '\n');
		INSIST(end != NULL);
		check_line(line, (size_t)(end - line), fields);
		line = end + 1;
	}
}

static void try(struct accounts *accounts, const char *first, const char *last, const uint8_t *data,
		size_t size)
{
	char *others = copy_text(data, size);
	struct text merged, again;

	open_text(&accounts->first);
	open_text(&accounts->last);
	fputs(first, accounts->first.file);
	fputs(last, accounts->last.file);
	close_text(&accounts->first);
	close_text(&accounts->last);
	merge_accounts(accounts, others, size, &merged);
	check_lines(&merged, accounts->fields);
	INSIST(strncmp(merged.bytes, first, strlen(first)) == 0);
	INSIST(count(merged.bytes, "\nalice:") + (strncmp(merged.bytes, "alice:", 6) == 0) == 1);
	INSIST(count(merged.bytes, ":0:") > 0 && count(merged.bytes, ":65534:") > 0);
	INSIST(has_lines(merged.bytes, merged.size, first));
	INSIST(has_lines(merged.bytes, merged.size, last));
	INSIST(!has_lines(others, size, last) || size >= strlen(last));
	merge_accounts(accounts, merged.bytes, merged.size, &again);
	INSIST(strcmp(merged.bytes, again.bytes) == 0);
	free(merged.bytes);
	free(again.bytes);
	free(accounts->first.bytes);
	free(accounts->last.bytes);
	free(others);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *names[] = {"alice", "root"};
	struct accounts users = {
	    .fields = PASSWD_FIELDS,
	    .names = names,
	    .name_count = 2,
	    .id = 2001,
	    .root = "root:x:0:0::/:\n",
	    .nobody = "nobody:x:65534:65534::/:\n",
	};
	struct accounts groups = {
	    .fields = GROUP_FIELDS,
	    .names = names,
	    .name_count = 1,
	    .id = 2001,
	    .root = "root:x:0:\n",
	    .nobody = "nogroup:x:65534:\n",
	};

	try(&users, "root:x:0:0::/home/alice:/bin/sh\n", "alice:x:2001:2001::/:\n", data, size);
	users.name_count = 1;
	try(&users, "", "alice:x:2001:2001::/:\n", data, size);
	try(&groups, "", "alice:x:2001:\n", data, size);
	return 0;
}
