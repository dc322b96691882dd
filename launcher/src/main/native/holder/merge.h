/* The text of passwd(5) and group(5): somebody's lines and our own in one file. */
#ifndef LAYERCAKE_MERGE_H
#define LAYERCAKE_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A text that grows while it is open; to be freed. */
struct text {
	char *bytes;
	size_t size;
	FILE *file;
};

void open_text(struct text *text);
void close_text(struct text *text);

enum { PASSWD_FIELDS = 7, GROUP_FIELDS = 4 };

/* One of the two files. */
struct accounts {
	const char *path;
	size_t fields;
	/* No line of others may have one of these names or this id. */
	const char **names;
	size_t name_count;
	unsigned long id;
	struct text first, last; /* our own lines, and where they are put */
	/* What every container knows. */
	const char *root, *nobody;
};

/* Takes of the others' lines those that are good, whatever bytes they are. */
void merge_accounts(const struct accounts *accounts, const char *others, size_t size,
		    struct text *merged);
/* Whether each of some lines is one of the others'. */
bool has_lines(const char *others, size_t size, const char *lines);

#endif
