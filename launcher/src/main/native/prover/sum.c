#include "sum.h"
#include "common/die.h"
#include "crc32c.h"
#include "walker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
	LINKS_KEPT = 1 << 18, /* a power of two, as the next */
	SUMS_KEPT = 1 << 10,
};

static const uint64_t ATTRIBUTE_BYTES_MAX = 1ULL << 36;

struct link {
	uint64_t inode; /* 0: none */
	uint32_t crc;
};

struct sum {
	uint32_t attributes;
	bool known;
	uint32_t sum;
};

/* What is not read again. */
static struct {
	struct link *links;
	uint32_t links_kept;
	struct sum sums[SUMS_KEPT];
	uint64_t attribute_bytes;
	struct crc32c_zeros hole; /* a block of them */
} known;

static uint32_t add_hole(uint32_t crc, size_t size)
{
	if (size != here.image.super.block_size)
		return crc32c_add_zeros(crc, size);
	if (known.hole.size == 0)
		crc32c_learn_zeros(&known.hole, size);
	return crc32c_add_learned_zeros(&known.hole, crc);
}

static uint32_t read_file(const struct inode *inode)
{
	struct blocks blocks;
	uint64_t left = inode->size;
	uint32_t crc = 0;

	squash_blocks(&here.image, inode, &blocks);
	while (left > 0) {
		const uint8_t *bytes;
		size_t size;
		if (!squash_next_part(&here.image, inode, &blocks, &bytes, &size))
			fail_as_read();
		if (size == 0 || size > left)
			fail(EXIT_DAMAGED, "the file ends too early");
		crc = bytes == NULL ? add_hole(crc, size) : crc32c(crc, bytes, size);
		left -= size;
	}
	return crc;
}

/* Files with several names are read once, as long as there is room to remember them. */
static uint32_t read_linked_file(const struct inode *inode)
{
	uint64_t key = inode->id + 1;
	size_t slot = (size_t)((key * 0x9e3779b97f4a7c15ULL) >> 40);

	if (known.links == NULL)
		known.links = allocate(2 * LINKS_KEPT * sizeof(*known.links));
	for (;; slot++) {
		struct link *link = &known.links[slot % (2 * LINKS_KEPT)];
		if (link->inode == key)
			return link->crc;
		if (link->inode != 0)
			continue;
		uint32_t crc = read_file(inode);
		if (known.links_kept < LINKS_KEPT) {
			known.links_kept++;
			*link = (struct link){.inode = key, .crc = crc};
		}
		return crc;
	}
}

static uint32_t read_link(const struct inode *inode)
{
	char text[LINK_MAX_BYTES];

	if (!squash_link(&here.image, inode, text))
		fail_as_read();
	if (memchr(text, '\0', inode->size) != NULL)
		fail(EXIT_DAMAGED, "a symbolic link has a NUL in it");
	return crc32c(0, text, inode->size);
}

static uint32_t read_attribute(struct attribute *attribute)
{
	static uint8_t value[ATTRIBUTE_MAX_BYTES];

	known.attribute_bytes += attribute->value_bytes;
	if (known.attribute_bytes > ATTRIBUTE_BYTES_MAX)
		fail_beyond(
		    "its attributes are more than 64 GiB, which is more than can be proved");
	if (!squash_metadata(&here.image, &attribute->value, value, attribute->value_bytes))
		fail_as_read();
	uint32_t crc = crc32c(0, attribute->name, strlen(attribute->name) + 1);
	return crc32c(crc, value, attribute->value_bytes);
}

/* Many files have the same attributes, to which they then have the same number. */
uint32_t sum_of_attributes(const struct inode *inode)
{
	struct sum *kept = &known.sums[inode->attributes % SUMS_KEPT];
	struct attributes all;
	uint32_t sum = 0;

	if (inode->attributes == SQUASHFS_INVALID_XATTR)
		return 0;
	if (kept->known && kept->attributes == inode->attributes)
		return kept->sum;
	if (!squash_attributes(&here.image, inode, &all))
		fail_as_read();
	while (all.left > 0) {
		struct attribute attribute;
		if (!squash_next_attribute(&here.image, &all, &attribute))
			fail_as_read();
		sum += read_attribute(&attribute);
	}
	*kept = (struct sum){.attributes = inode->attributes, .known = true, .sum = sum};
	return sum;
}

static char letter_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 'f';
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	default:
		return 's';
	}
}

uint32_t sum_of_inode(const struct inode *inode)
{
	char text[128];
	uint32_t content = 0;

	if (S_ISREG(inode->mode))
		content = inode->links > 1 ? read_linked_file(inode) : read_file(inode);
	else if (S_ISLNK(inode->mode))
		content = read_link(inode);
	uint32_t attributes = sum_of_attributes(inode);
	int length =
	    snprintf(text, sizeof(text), "%c %o %" PRIu32 " %" PRIu64 " %08" PRIx32 " %08" PRIx32,
		     letter_of(inode->mode), inode->mode & 07777U, inode->mtime,
		     S_ISREG(inode->mode) ? inode->size : 0, content, attributes);
	/* Paths begin with a slash here, and end with NUL. */
	uint32_t crc = crc32c(0, here.path + 1, strlen(here.path));
	return crc32c(crc, text, (size_t)length);
}
