/* Data of an image's files, text of its links, values of attributes. */
#include "squash.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum {
	MARK_BLOCKS = 2048,  /* the entries in one metadata block */
	MARKS_MAX = 1 << 16, /* of one file: 17 TB in blocks of 128 KiB */
	HEADERS_AT_ONCE = 256,
	FRAGMENT_BYTES = 16,
	ATTRIBUTES_BYTES = 16,
	ATTRIBUTES_MAX = ATTRIBUTE_MAX_BYTES / 6, /* of the shortest names, "user." and NUL */
};

struct mark {
	struct cursor cursor;
	uint64_t position;
};

uint64_t squash_block_count(const struct squash *image, const struct inode *inode)
{
	uint32_t block_size = image->super.block_size;
	uint64_t whole = inode->size / block_size;

	if (inode->fragment == SQUASHFS_INVALID_FRAG && inode->size % block_size != 0)
		whole++;
	return whole;
}

void squash_blocks(const struct squash *image, const struct inode *inode, struct blocks *blocks)
{
	*blocks = (struct blocks){.cursor = inode->rest,
				  .left = squash_block_count(image, inode),
				  .position = inode->start};
}

static bool take_headers(struct squash *image, struct blocks *blocks, uint32_t *headers,
			 size_t count)
{
	struct blocks after = *blocks;

	if (!squash_metadata(image, &after.cursor, headers, count * sizeof(*headers)))
		return false;
	for (size_t i = 0; i < count; i++) {
		headers[i] = le32toh(headers[i]);
		after.position += headers[i] & (SQUASHFS_COMPRESSED_BIT_BLOCK - 1);
	}
	if (after.position > image->super.bytes)
		return squash_fail(image, "a file's blocks lie beyond the end of the image");
	after.left -= count;
	after.number += count;
	*blocks = after;
	return true;
}

static struct marks *marks_of(struct squash *image, const struct inode *inode)
{
	/* Inode ids are not 0: mark 0 is where the inode's list begins. */
	uint64_t key = inode->id + 1;
	struct marks *marks;

	for (int i = 0; i < INDEXED_FILES; i++)
		if (image->marks[i].inode == key)
			return &image->marks[i];
	marks = &image->marks[image->next_marks++ % INDEXED_FILES];
	marks->inode = key;
	marks->count = 0;
	return marks;
}

static void add_mark(struct marks *marks, const struct blocks *blocks)
{
	if (marks->count == MARKS_MAX)
		return;
	if (marks->count == marks->room) {
		uint32_t room = marks->room == 0 ? 16 : marks->room * 2;
		struct mark *all = realloc(marks->all, room * sizeof(*all));
		if (all == NULL)
			return; /* slower, no worse */
		marks->all = all;
		marks->room = room;
	}
	marks->all[marks->count++] =
	    (struct mark){.cursor = blocks->cursor, .position = blocks->position};
}

/* Goes to the file's block `number`, which is one of its blocks. */
static bool seek_block(struct squash *image, const struct inode *inode, uint64_t number,
		       struct blocks *blocks)
{
	uint32_t headers[HEADERS_AT_ONCE];

	squash_blocks(image, inode, blocks);
	if (number < MARK_BLOCKS && blocks->left <= MARK_BLOCKS) {
		while (blocks->number < number) {
			uint64_t skip = number - blocks->number;
			if (!take_headers(image, blocks, headers,
					  skip < HEADERS_AT_ONCE ? skip : HEADERS_AT_ONCE))
				return false;
		}
		return true;
	}
	struct marks *marks = marks_of(image, inode);
	uint64_t wanted = number / MARK_BLOCKS;
	if (wanted > marks->count)
		wanted = marks->count;
	if (wanted > 0) {
		blocks->cursor = marks->all[wanted - 1].cursor;
		blocks->position = marks->all[wanted - 1].position;
		blocks->number = wanted * MARK_BLOCKS;
		blocks->left -= blocks->number;
	}
	while (blocks->number < number) {
		/* Steps end at the marks, of which each is a multiple. */
		uint64_t skip = HEADERS_AT_ONCE - blocks->number % HEADERS_AT_ONCE;
		if (skip > number - blocks->number)
			skip = number - blocks->number;
		if (!take_headers(image, blocks, headers, skip))
			return false;
		if (blocks->number % MARK_BLOCKS == 0 &&
		    blocks->number / MARK_BLOCKS == (uint64_t)marks->count + 1)
			add_mark(marks, blocks);
	}
	return true;
}

static bool read_tail(struct squash *image, const struct inode *inode, const uint8_t **bytes,
		      size_t *size)
{
	uint8_t record[FRAGMENT_BYTES];
	uint64_t position;
	uint32_t header;
	size_t block_bytes;

	*bytes = NULL;
	*size = 0;
	size_t wanted = inode->size % image->super.block_size;
	if (inode->fragment == SQUASHFS_INVALID_FRAG || wanted == 0)
		return true;
	if (!squash_record(image, &image->fragment_table, inode->fragment, record))
		return false;
	memcpy(&position, record, sizeof(position));
	memcpy(&header, record + sizeof(position), sizeof(header));
	if (!squash_block(image, &image->fragments, le64toh(position), le32toh(header), bytes,
			  &block_bytes))
		return false;
	if (inode->offset > block_bytes || wanted > block_bytes - inode->offset)
		return squash_fail(image, "a file's end lies outside its fragment");
	*bytes += inode->offset;
	*size = wanted;
	return true;
}

bool squash_next_part(struct squash *image, const struct inode *inode, struct blocks *blocks,
		      const uint8_t **bytes, size_t *size)
{
	uint64_t position = blocks->position;
	uint32_t header;

	if (blocks->left == 0)
		return read_tail(image, inode, bytes, size);
	uint64_t left = inode->size - blocks->number * image->super.block_size;
	size_t wanted = left < image->super.block_size ? (size_t)left : image->super.block_size;
	if (!take_headers(image, blocks, &header, 1))
		return false;
	if (header == 0) {
		*bytes = NULL;
		*size = wanted;
		return true;
	}
	if (!squash_block(image, &image->data, position, header, bytes, size))
		return false;
	return *size == wanted || squash_fail(image, "a file's block is of the wrong size");
}

bool squash_read(struct squash *image, const struct inode *inode, uint64_t offset, void *buffer,
		 size_t *size)
{
	uint8_t *to = buffer;
	size_t left = *size;
	struct blocks blocks;

	*size = 0;
	if (offset >= inode->size)
		return true;
	if (left > inode->size - offset)
		left = (size_t)(inode->size - offset);
	uint64_t number = offset / image->super.block_size;
	size_t skip = (size_t)(offset % image->super.block_size);
	if (!seek_block(image, inode, number, &blocks))
		return false;
	while (left > 0) {
		const uint8_t *bytes;
		size_t got;
		if (!squash_next_part(image, inode, &blocks, &bytes, &got))
			return false;
		if (got <= skip)
			return squash_fail(image, "a file ends too early");
		size_t take = got - skip < left ? got - skip : left;
		if (bytes != NULL)
			memcpy(to, bytes + skip, take);
		else
			memset(to, 0, take);
		to += take;
		left -= take;
		skip = 0;
		*size += take;
	}
	return true;
}

bool squash_link(struct squash *image, const struct inode *inode, char *buffer)
{
	struct cursor cursor = inode->rest;

	return squash_metadata(image, &cursor, buffer, inode->size);
}

static struct cursor attribute_cursor(const struct squash *image, uint64_t id)
{
	return (struct cursor){.block = image->attributes + (id >> 16),
			       .end = image->attribute_table.end,
			       .offset = id & 0xffff};
}

bool squash_attributes(struct squash *image, const struct inode *inode, struct attributes *all)
{
	struct {
		uint64_t place;
		uint32_t count;
		uint32_t size;
	} record;

	_Static_assert(sizeof(record) == ATTRIBUTES_BYTES, "as in the image");
	all->left = 0;
	if (inode->attributes == SQUASHFS_INVALID_XATTR || !image->super.has_attributes)
		return true;
	if (!squash_record(image, &image->attribute_table, inode->attributes, &record))
		return false;
	all->cursor = attribute_cursor(image, le64toh(record.place));
	all->left = le32toh(record.count);
	return all->left <= ATTRIBUTES_MAX || squash_fail(image, "a file has too many attributes");
}

/* The value follows, or the place of one that several attributes share. */
static bool find_value(struct squash *image, struct attributes *all, struct attribute *next,
		       bool elsewhere)
{
	uint32_t size;
	uint64_t place;

	if (!squash_metadata(image, &all->cursor, &size, sizeof(size)))
		return false;
	next->value = all->cursor;
	if (elsewhere) {
		if (le32toh(size) != sizeof(place) ||
		    !squash_metadata(image, &all->cursor, &place, sizeof(place)))
			return squash_fail(image, "the place of an attribute makes no sense");
		next->value = attribute_cursor(image, le64toh(place));
		if (!squash_metadata(image, &next->value, &size, sizeof(size)))
			return false;
	}
	next->value_bytes = le32toh(size);
	if (next->value_bytes > ATTRIBUTE_MAX_BYTES)
		return squash_fail(image, "an attribute is larger than 64 KiB");
	return elsewhere || squash_skip(image, &all->cursor, next->value_bytes);
}

bool squash_next_attribute(struct squash *image, struct attributes *all, struct attribute *next)
{
	static const char *const PREFIXES[] = {"user.", "trusted.", "security."};
	uint16_t head[2];

	if (!squash_metadata(image, &all->cursor, head, sizeof(head)))
		return false;
	unsigned type = le16toh(head[0]);
	size_t size = le16toh(head[1]);
	unsigned kind = type & SQUASHFS_XATTR_PREFIX_MASK;
	if (kind >= sizeof(PREFIXES) / sizeof(*PREFIXES) ||
	    (type & ~(unsigned)(SQUASHFS_XATTR_PREFIX_MASK | SQUASHFS_XATTR_VALUE_OOL)) != 0)
		return squash_fail(image, "an attribute is of an unknown kind");
	size_t prefix = strlen(PREFIXES[kind]);
	if (size > ATTRIBUTE_NAME_MAX_BYTES - prefix)
		return squash_fail(image, "the name of an attribute is longer than 255 bytes");
	memcpy(next->name, PREFIXES[kind], prefix);
	if (!squash_metadata(image, &all->cursor, next->name + prefix, size))
		return false;
	next->name[prefix + size] = '\0';
	if (memchr(next->name, '\0', prefix + size) != NULL)
		return squash_fail(image, "the name of an attribute has a NUL in it");
	all->left--;
	return find_value(image, all, next, (type & SQUASHFS_XATTR_VALUE_OOL) != 0);
}
