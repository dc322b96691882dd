#include "tar.h"
#include "common/die.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	BLOCK = 512,
	OUTPUT_BYTES = 256 << 10,
	RECORDS_BYTES = 1 << 20, /* of one entry: more than a path, a target and usual attributes */
	PATHS_BYTES = 2 << 17,	 /* what attributes leave room for: the former two */
	LENGTH_DIGITS = 8,
};

static const uint64_t SIZE_MAX_OCTAL = (1ULL << 33) - 1;

struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char user[32];
	char group[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char unused[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is a block");

static struct {
	uint8_t bytes[OUTPUT_BYTES];
	size_t used;
} output;

/* Of the next entry. */
static struct {
	char bytes[RECORDS_BYTES];
	size_t used;
} records;

static void flush(void)
{
	size_t done = 0;

	while (done < output.used) {
		ssize_t count = write(STDOUT_FILENO, output.bytes + done, output.used - done);
		if (count >= 0)
			done += (size_t)count;
		else if (errno != EINTR)
			die(errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? EXIT_FULL
										 : EXIT_INTERNAL,
			    "cannot write the archive: %s", strerror(errno));
	}
	output.used = 0;
}

void tar_data(const void *bytes, size_t size)
{
	const uint8_t *next = bytes;

	while (size > 0) {
		if (output.used == sizeof(output.bytes))
			flush();
		size_t count = sizeof(output.bytes) - output.used;
		if (count > size)
			count = size;
		if (next == NULL) {
			memset(output.bytes + output.used, 0, count);
		} else {
			memcpy(output.bytes + output.used, next, count);
			next += count;
		}
		output.used += count;
		size -= count;
	}
}

void tar_end_of_file(uint64_t size)
{
	tar_data(NULL, (size_t)((BLOCK - size % BLOCK) % BLOCK));
}

void tar_end(void)
{
	tar_data(NULL, (size_t)(2 * BLOCK));
	flush();
}

/* "LENGTH KEY=VALUE\n", whose length counts its own digits. */
static bool add_record(const char *key, const char *name, const void *value, size_t size,
		       size_t room)
{
	char length[LENGTH_DIGITS + 1];
	size_t rest = strlen(key) + strlen(name) + size + sizeof(" =\n") - 1;
	size_t total = rest + 1;

	while ((size_t)snprintf(length, sizeof(length), "%zu", total) + rest > total)
		total++;
	if (total > room - records.used)
		return false;
	int begun =
	    snprintf(records.bytes + records.used, total + 1, "%s %s%s=", length, key, name);
	memcpy(records.bytes + records.used + begun, value, size);
	records.bytes[records.used + total - 1] = '\n';
	records.used += total;
	return true;
}

bool tar_attribute(const char *name, const void *value, size_t size)
{
	return add_record("SCHILY.xattr.", name, value, size, RECORDS_BYTES - PATHS_BYTES);
}

/* A name that does not fit stands whole in a record; programs that know none see its beginning. */
static void put_name(char *field, size_t room, const char *name, const char *key)
{
	size_t size = strlen(name);

	memcpy(field, name, size < room ? size : room);
	if (size > room && !add_record(key, "", name, size, RECORDS_BYTES))
		die(EXIT_UNAVAILABLE, "cannot write the archive: a path in it is too long");
}

/* A field of so many digits and a NUL. */
static void put_number(char *field, size_t room, uint64_t number)
{
	for (size_t i = room - 1; i-- > 0; number >>= 3)
		field[i] = (char)('0' + (number & 7));
}

static void write_header(struct header *header)
{
	const uint8_t *bytes = (const uint8_t *)header;
	unsigned sum = 0;

	memcpy(header->magic, "ustar", sizeof(header->magic));
	memcpy(header->version, "00", sizeof(header->version));
	memset(header->checksum, ' ', sizeof(header->checksum));
	for (size_t i = 0; i < sizeof(*header); i++)
		sum += bytes[i];
	put_number(header->checksum, sizeof(header->checksum) - 1, sum);
	header->checksum[sizeof(header->checksum) - 2] = '\0';
	tar_data(header, sizeof(*header));
}

static void write_records(void)
{
	struct header header = {.name = "pax", .type = 'x'};

	put_number(header.mode, sizeof(header.mode), 0644);
	put_number(header.uid, sizeof(header.uid), 0);
	put_number(header.gid, sizeof(header.gid), 0);
	put_number(header.size, sizeof(header.size), records.used);
	put_number(header.mtime, sizeof(header.mtime), 0);
	write_header(&header);
	tar_data(records.bytes, records.used);
	tar_end_of_file(records.used);
	records.used = 0;
}

void tar_begin(const struct tar_entry *entry)
{
	struct header header = {.type = entry->type};
	char size[24];

	put_name(header.name, sizeof(header.name), entry->path, "path");
	if (entry->target != NULL)
		put_name(header.link, sizeof(header.link), entry->target, "linkpath");
	if (entry->size > SIZE_MAX_OCTAL &&
	    !add_record("size", "", size,
			(size_t)snprintf(size, sizeof(size), "%" PRIu64, entry->size),
			RECORDS_BYTES))
		die(EXIT_UNAVAILABLE, "cannot write the archive: too many attributes");
	put_number(header.mode, sizeof(header.mode), entry->mode & 07777);
	put_number(header.uid, sizeof(header.uid), 0);
	put_number(header.gid, sizeof(header.gid), 0);
	put_number(header.size, sizeof(header.size), entry->size);
	put_number(header.mtime, sizeof(header.mtime), entry->mtime);
	put_number(header.major, sizeof(header.major), entry->major);
	put_number(header.minor, sizeof(header.minor), entry->minor);
	if (records.used > 0)
		write_records();
	write_header(&header);
}
