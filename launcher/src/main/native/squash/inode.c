/* Inodes of an image. */
#include "common/little.h"
#include "squash.h"

#include <sys/stat.h>

enum { BASE_BYTES = 16, MAX_BYTES = 56 };

static const struct {
	mode_t type;
	uint8_t bytes;	    /* of the inode */
	uint8_t attributes; /* where the number of its attributes is; 0: none, or elsewhere */
} KINDS[] = {
    [SQUASHFS_DIR_TYPE] = {S_IFDIR, 32, 0},	 [SQUASHFS_REG_TYPE] = {S_IFREG, 32, 0},
    [SQUASHFS_SYMLINK_TYPE] = {S_IFLNK, 24, 0},	 [SQUASHFS_BLKDEV_TYPE] = {S_IFBLK, 24, 0},
    [SQUASHFS_CHRDEV_TYPE] = {S_IFCHR, 24, 0},	 [SQUASHFS_FIFO_TYPE] = {S_IFIFO, 20, 0},
    [SQUASHFS_SOCKET_TYPE] = {S_IFSOCK, 20, 0},	 [SQUASHFS_LDIR_TYPE] = {S_IFDIR, 40, 36},
    [SQUASHFS_LREG_TYPE] = {S_IFREG, 56, 52},	 [SQUASHFS_LSYMLINK_TYPE] = {S_IFLNK, 24, 0},
    [SQUASHFS_LBLKDEV_TYPE] = {S_IFBLK, 28, 24}, [SQUASHFS_LCHRDEV_TYPE] = {S_IFCHR, 28, 24},
    [SQUASHFS_LFIFO_TYPE] = {S_IFIFO, 24, 20},	 [SQUASHFS_LSOCKET_TYPE] = {S_IFSOCK, 24, 20},
};

enum { KIND_COUNT = sizeof(KINDS) / sizeof(*KINDS) };

static bool parse_file(struct squash *image, struct inode *inode, const uint8_t *bytes, bool large)
{
	inode->start = large ? u64_at(bytes + 16) : u32_at(bytes + 16);
	inode->size = large ? u64_at(bytes + 24) : u32_at(bytes + 28);
	inode->links = large ? u32_at(bytes + 40) : 1;
	inode->fragment = u32_at(bytes + (large ? 44 : 20));
	inode->offset = u32_at(bytes + (large ? 48 : 24));
	if (inode->size > INT64_MAX)
		return squash_fail(image, "the size of a file makes no sense");
	if (inode->fragment == SQUASHFS_INVALID_FRAG)
		return true;
	if (inode->fragment >= image->super.fragments || inode->offset >= image->super.block_size)
		return squash_fail(image, "a file's end lies outside the fragments");
	return true;
}

static void parse_directory(struct inode *inode, const uint8_t *bytes, bool large)
{
	inode->start = u32_at(bytes + (large ? 24 : 16));
	inode->links = u32_at(bytes + (large ? 16 : 20));
	inode->size = large ? u32_at(bytes + 20) : u16_at(bytes + 24);
	inode->offset = u16_at(bytes + (large ? 34 : 26));
	inode->indexes = large ? u16_at(bytes + 32) : 0;
}

static bool parse_link(struct squash *image, struct inode *inode, const uint8_t *bytes, bool large)
{
	struct cursor cursor = inode->rest;

	inode->links = u32_at(bytes + 16);
	inode->size = u32_at(bytes + 20);
	if (inode->size == 0 || inode->size > LINK_MAX_BYTES)
		return squash_fail(image, "the size of a symbolic link makes no sense");
	if (!large)
		return true;
	/* The number of its attributes comes behind its text. */
	if (!squash_skip(image, &cursor, inode->size) ||
	    !squash_metadata(image, &cursor, &inode->attributes, sizeof(inode->attributes)))
		return false;
	inode->attributes = le32toh(inode->attributes);
	return true;
}

static bool parse_kind(struct squash *image, struct inode *inode, const uint8_t *bytes, bool large)
{
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		return parse_file(image, inode, bytes, large);
	case S_IFDIR:
		parse_directory(inode, bytes, large);
		return true;
	case S_IFLNK:
		return parse_link(image, inode, bytes, large);
	case S_IFBLK:
	case S_IFCHR:
		inode->device = u32_at(bytes + 20);
		break;
	default:
		break;
	}
	inode->links = u32_at(bytes + 16);
	return true;
}

bool squash_inode(struct squash *image, uint64_t id, struct inode *inode)
{
	uint8_t bytes[MAX_BYTES];
	uint64_t block = id >> 16;

	*inode = (struct inode){
	    .id = id, .attributes = SQUASHFS_INVALID_XATTR, .fragment = SQUASHFS_INVALID_FRAG};
	if (block >= image->super.directory_table - image->super.inode_table)
		return squash_fail(image, "an inode lies outside its table");
	inode->rest = (struct cursor){.block = image->super.inode_table + block,
				      .end = image->super.directory_table,
				      .offset = id & 0xffff};
	if (!squash_metadata(image, &inode->rest, bytes, BASE_BYTES))
		return false;
	unsigned type = u16_at(bytes);
	if (type == 0 || type >= KIND_COUNT)
		return squash_fail(image, "an inode is of an unknown kind");
	if (!squash_metadata(image, &inode->rest, bytes + BASE_BYTES,
			     KINDS[type].bytes - BASE_BYTES))
		return false;
	inode->mode = (u16_at(bytes + 2) & 07777) | KINDS[type].type;
	inode->mtime = u32_at(bytes + 8);
	inode->number = u32_at(bytes + 12);
	if (KINDS[type].attributes != 0)
		inode->attributes = u32_at(bytes + KINDS[type].attributes);
	if (!parse_kind(image, inode, bytes, type >= SQUASHFS_LDIR_TYPE))
		return false;
	if (inode->attributes != SQUASHFS_INVALID_XATTR && image->super.has_attributes &&
	    inode->attributes >= image->attribute_table.records)
		return squash_fail(image, "a file's attributes lie outside their table");
	return squash_id(image, u16_at(bytes + 4), &inode->uid) &&
	       squash_id(image, u16_at(bytes + 6), &inode->gid);
}
