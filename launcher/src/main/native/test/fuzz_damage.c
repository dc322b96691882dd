/*
 * How the fuzzer changes an image: in place, mostly numbers that mean something, to ones near those
 * that are there or near limits. What libFuzzer does by itself moves all that follows, and is an
 * image no more.
 */
#include "common/little.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	SUPER_BYTES = 96,
	MADE_AT = 8,
	LEAST_BYTES = SUPER_BYTES + 64,
	PIECE_BYTES = 40,
	STREAM_MAX = 1 << 14,
	FIELDS_MAX = 1 << 12,
	PLAIN_BIT = 0x8000, /* in the header of a metadata block: it is stored as it is */
};

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* Where the content of a table's blocks is in the image, byte by byte. */
struct stream {
	const uint8_t *data;
	size_t count;
	uint32_t places[STREAM_MAX];
};

struct field {
	uint32_t at;
	uint32_t width;
};

static struct {
	size_t count;
	struct field all[FIELDS_MAX];
} fields;

static uint64_t random_state;

static size_t random_below(size_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (size_t)(random_state % limit);
}

static size_t clamp(uint64_t place, size_t least, size_t most)
{
	return place < least ? least : place > most ? most : (size_t)place;
}

/* --- the numbers of inodes and directories --- */

static void read_stream(struct stream *stream, const uint8_t *data, size_t from, size_t end)
{
	*stream = (struct stream){.data = data};
	while (from + 2 < end) {
		unsigned header = u16_at(data + from);
		size_t stored = header & (PLAIN_BIT - 1);
		if ((header & PLAIN_BIT) == 0 || stored == 0)
			return;
		for (from += 2; stored > 0 && from < end && stream->count < STREAM_MAX; stored--)
			stream->places[stream->count++] = (uint32_t)from++;
	}
}

/* Widths are digits. Returns where the next field is; beyond the end of the stream at its end. */
static size_t add_fields(const struct stream *stream, size_t at, const char *widths)
{
	for (; *widths != '\0'; widths++) {
		size_t width = (size_t)(*widths - '0');
		if (at + width > stream->count || fields.count == FIELDS_MAX)
			return STREAM_MAX + 1;
		fields.all[fields.count++] = (struct field){stream->places[at], (uint32_t)width};
		at += width;
	}
	return at;
}

/* The number in a field that was added, counted from the last. */
static size_t added(const struct stream *stream, size_t back)
{
	const struct field *field = &fields.all[fields.count - back];
	const uint8_t *at = stream->data + field->at;

	return field->width == 2 ? u16_at(at) : field->width == 4 ? u32_at(at) : (size_t)u64_at(at);
}

static size_t add_blocks(const struct stream *stream, size_t at, size_t size, size_t fragment)
{
	size_t block = u32_at(stream->data + 12);
	size_t left = block == 0 ? 0 : size / block + (fragment == UINT32_MAX && size % block != 0);

	for (; left > 0 && at < stream->count; left--)
		at = add_fields(stream, at, "4");
	return at;
}

/* What comes behind the fixed part of an inode. */
static size_t add_rest(const struct stream *stream, size_t at, size_t type)
{
	switch (type) {
	case 2:
		return add_blocks(stream, at, added(stream, 1), added(stream, 3));
	case 9:
		return add_blocks(stream, at, added(stream, 6), added(stream, 3));
	case 3:
		return at + added(stream, 1);
	case 10:
		return add_fields(stream, at + added(stream, 1), "4");
	case 8:
		for (size_t left = added(stream, 3); left > 0 && at < stream->count; left--) {
			at = add_fields(stream, at, "444");
			if (at < stream->count)
				at += added(stream, 1) + 1;
		}
		return at;
	default:
		return at;
	}
}

static void add_inodes(const struct stream *stream)
{
	/* By type, without the 16 bytes that all have. */
	static const char *const KINDS[] = {"",	  "44224", "4444", "44",      "44",
					    "44", "4",	   "4",	   "4444224", "8884444",
					    "44", "444",   "444",  "44",      "44"};
	size_t at = 0;

	while (at < stream->count) {
		at = add_fields(stream, at, "222244");
		if (at > stream->count)
			return;
		size_t type = added(stream, 6);
		if (type == 0 || type >= sizeof(KINDS) / sizeof(*KINDS))
			return;
		at = add_fields(stream, at, KINDS[type]);
		if (at > stream->count)
			return;
		at = add_rest(stream, at, type);
	}
}

static void add_directories(const struct stream *stream)
{
	for (size_t at = 0; at < stream->count;) {
		at = add_fields(stream, at, "444");
		if (at > stream->count)
			return;
		for (size_t left = added(stream, 3) + 1; left > 0 && at < stream->count; left--) {
			at = add_fields(stream, at, "2222");
			if (at < stream->count)
				at += added(stream, 1) + 1;
		}
	}
}

static void find_fields(const uint8_t *data, size_t inodes, size_t directories, size_t end)
{
	static struct stream stream;

	fields.count = 0;
	read_stream(&stream, data, inodes, directories);
	add_inodes(&stream);
	/* What follows on the directories is taken for one of them, which is as good as any. */
	read_stream(&stream, data, directories, end);
	add_directories(&stream);
}

/* --- changes --- */

/* A field of an inode or directory, or any place in the superblock, the tables or everything. */
static struct field choose_field(const uint8_t *data, size_t size)
{
	size_t end = clamp(u64_at(data + 40), SUPER_BYTES + 1, size);
	size_t inodes = clamp(u64_at(data + 64), SUPER_BYTES, end);
	size_t directories = clamp(u64_at(data + 72), inodes, end);
	uint32_t width = 1U << random_below(4);

	switch (random_below(10)) {
	case 0:
		return (struct field){(uint32_t)random_below(SUPER_BYTES), width};
	case 1:
		return (struct field){(uint32_t)random_below(size), width};
	case 2:
	case 3: {
		/* Fragments, ids and attributes of a small image are at its end. */
		size_t tail = end - SUPER_BYTES < 512 ? end - SUPER_BYTES : 512;
		return (struct field){(uint32_t)(end - 1 - random_below(tail)), width};
	}
	default:
		find_fields(data, inodes, directories, end);
		if (fields.count > 0)
			return fields.all[random_below(fields.count)];
		return (struct field){(uint32_t)(inodes + random_below(end - inodes + 1)), width};
	}
}

static void change_number(uint8_t *at, size_t width)
{
	static const uint64_t NUMBERS[] = {
	    0,		 1,	     2,		 3,	    0x7f,      0x80,	0xff,
	    0x100,	 0x400,	     0x800,	 0xfff,	    0x1000,    0x1fff,	0x2000,
	    0x7fff,	 0x8000,     0xffff,	 0x10000,   0x1000000, 1 << 30, 1U << 31,
	    0xffffffffU, 1ULL << 40, 1ULL << 63, UINT64_MAX};
	uint64_t value = NUMBERS[random_below(sizeof(NUMBERS) / sizeof(*NUMBERS))], there = 0;

	/* A little more or less than is there goes unnoticed for longest. */
	memcpy(&there, at, width);
	there = le64toh(there);
	switch (random_below(4)) {
	case 0:
		value = there + random_below(16) - 8;
		break;
	case 1:
		value = there ^ (1ULL << random_below(8 * width));
		break;
	default:
		break;
	}
	value = htole64(value);
	memcpy(at, &value, width);
}

static void damage(uint8_t *data, size_t size)
{
	struct field field = choose_field(data, size), from;
	size_t at = field.at < size ? field.at : size - 1, left = size - at;
	size_t piece = 1 + random_below(left < PIECE_BYTES ? left : PIECE_BYTES);

	switch (random_below(8)) {
	case 0: /* it compares what it changes with what the program has compared that with */
		LLVMFuzzerMutate(data + at, piece, piece);
		break;
	case 1: /* an inode or entry twice */
		from = choose_field(data, size);
		if (from.at < size)
			memmove(data + at, data + from.at,
				piece < size - from.at ? piece : size - from.at);
		break;
	case 2:
		data[MADE_AT] = (uint8_t)random_below(256);
		break;
	default:
		if (field.width <= left)
			change_number(data + at, field.width);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	random_state = (seed + 1ULL) * 0x9e3779b97f4a7c15ULL;
	if (size < LEAST_BYTES || random_below(50) == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	for (size_t left = 1 + random_below(3); left > 0; left--)
		damage(data, size);
	return size;
}
