#define _GNU_SOURCE
#include "image.h"
#include "die.h"
#include "filling.h"

#include <errno.h>
#include <limits.h>
#include <squashfuse/dir.h>
#include <squashfuse/file.h>
#include <squashfuse/xattr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum {
	METADATA_BLOCKS = 64, /* of 8 KiB; they are searched one by one */
	DATA_CACHE_BYTES = 2 << 20,
	ATTRIBUTES_MAX_BYTES = 1 << 16, /* XATTR_LIST_MAX, XATTR_SIZE_MAX */
};

/* Inode ids have 48 bits; two up, none of them is 0 (none) or FUSE_ROOT_ID. */
static fuse_ino_t number_of(sqfs *image, sqfs_inode_id id)
{
	return id == sqfs_inode_root(image) ? FUSE_ROOT_ID : id + 2;
}

static int get_inode(sqfs *image, fuse_ino_t number, sqfs_inode *inode)
{
	sqfs_inode_id id = number == FUSE_ROOT_ID ? sqfs_inode_root(image) : number - 2;

	return sqfs_inode_get(image, inode, id) == SQFS_OK ? 0 : EIO;
}

static int describe(sqfs *image, sqfs_inode *inode, fuse_ino_t number, struct stat *status)
{
	sqfs_id_t uid;
	sqfs_id_t gid;

	/* The library takes any index. */
	if (inode->base.uid >= image->sb.no_ids || inode->base.guid >= image->sb.no_ids ||
	    sqfs_id_get(image, inode->base.uid, &uid) != SQFS_OK ||
	    sqfs_id_get(image, inode->base.guid, &gid) != SQFS_OK)
		return EIO;
	*status = (struct stat){.st_ino = number,
				.st_mode = inode->base.mode,
				.st_nlink = (nlink_t)inode->nlink,
				.st_uid = uid,
				.st_gid = gid,
				.st_mtime = inode->base.mtime,
				.st_ctime = inode->base.mtime,
				.st_atime = inode->base.mtime,
				.st_blksize = (blksize_t)image->sb.block_size};
	if (S_ISREG(status->st_mode)) {
		if (inode->xtra.reg.file_size > INT64_MAX)
			return EIO;
		status->st_size = (off_t)inode->xtra.reg.file_size;
		status->st_blocks = status->st_size / 512;
	} else if (S_ISLNK(status->st_mode)) {
		status->st_size = (off_t)inode->xtra.symlink_size;
	} else if (S_ISBLK(status->st_mode) || S_ISCHR(status->st_mode)) {
		status->st_rdev =
		    makedev((unsigned)inode->xtra.dev.major, (unsigned)inode->xtra.dev.minor);
	}
	return 0;
}

static int get_entry(sqfs *image, sqfs_inode_id id, struct fuse_entry_param *entry)
{
	sqfs_inode inode;
	fuse_ino_t number = number_of(image, id);

	*entry = (struct fuse_entry_param){
	    .ino = number, .attr_timeout = FOREVER_SECONDS, .entry_timeout = FOREVER_SECONDS};
	if (get_inode(image, number, &inode) != 0)
		return EIO;
	return describe(image, &inode, number, &entry->attr);
}

static int get_directory(sqfs *image, const struct request *request, sqfs_inode *inode)
{
	int error = get_inode(image, request->inode, inode);

	return error != 0 || S_ISDIR(inode->base.mode) ? error : ENOTDIR;
}

int act_lookup(sqfs *image, const struct request *request, struct answer *answer)
{
	sqfs_inode directory;
	sqfs_name name;
	sqfs_dir_entry found;
	bool is_found;
	int error = get_directory(image, request, &directory);

	if (error != 0)
		return error;
	sqfs_dentry_init(&found, name);
	if (sqfs_dir_lookup(image, &directory, request->name, strlen(request->name), &found,
			    &is_found) != SQFS_OK)
		return EIO;
	answer->kind = ENTRY;
	if (is_found)
		return get_entry(image, sqfs_dentry_inode(&found), &answer->entry);
	/* An entry without inode: the kernel remembers that there is no such file. */
	answer->entry = (struct fuse_entry_param){.entry_timeout = FOREVER_SECONDS};
	return 0;
}

int act_getattr(sqfs *image, const struct request *request, struct answer *answer)
{
	sqfs_inode inode;

	answer->kind = ATTRIBUTES;
	if (get_inode(image, request->inode, &inode) != 0)
		return EIO;
	return describe(image, &inode, request->inode, &answer->attributes);
}

static int list_directory(sqfs *image, const struct request *request, struct answer *answer,
			  bool plus)
{
	sqfs_inode directory;
	sqfs_dir cursor;
	sqfs_name name;
	sqfs_dir_entry found;
	sqfs_err failure = SQFS_OK;
	int error = get_directory(image, request, &directory);

	if (error != 0)
		return error;
	if (sqfs_dir_open(image, &directory, &cursor, request->offset) != SQFS_OK)
		return EINVAL;
	answer->kind = BYTES;
	answer->bytes = malloc(request->size);
	if (answer->bytes == NULL)
		return ENOMEM;
	sqfs_dentry_init(&found, name);
	while (sqfs_dir_next(image, &cursor, &found, &failure)) {
		struct fuse_entry_param entry = {0};
		char *end = answer->bytes + answer->size;
		size_t left = request->size - answer->size;
		size_t used;
		/* A damaged inode should not hide its neighbours: it is listed without attributes.
		 */
		if (!plus || get_entry(image, sqfs_dentry_inode(&found), &entry) != 0) {
			entry.ino = 0;
			entry.attr.st_ino = number_of(image, sqfs_dentry_inode(&found));
			entry.attr.st_mode = sqfs_dentry_mode(&found);
		}
		if (plus)
			used = fuse_add_direntry_plus(request->fuse, end, left,
						      sqfs_dentry_name(&found), &entry,
						      sqfs_dentry_next_offset(&found));
		else
			used = fuse_add_direntry(request->fuse, end, left, sqfs_dentry_name(&found),
						 &entry.attr, sqfs_dentry_next_offset(&found));
		if (used > left)
			break;
		answer->size += used;
	}
	return failure == SQFS_OK ? 0 : EIO;
}

int act_readdir(sqfs *image, const struct request *request, struct answer *answer)
{
	return list_directory(image, request, answer, false);
}

int act_readdirplus(sqfs *image, const struct request *request, struct answer *answer)
{
	return list_directory(image, request, answer, true);
}

int act_read(sqfs *image, const struct request *request, struct answer *answer)
{
	sqfs_inode inode;
	off_t size = (off_t)request->size;

	if (get_inode(image, request->inode, &inode) != 0)
		return EIO;
	if (!S_ISREG(inode.base.mode))
		return EISDIR;
	if (inode.xtra.reg.frag_idx != SQUASHFS_INVALID_FRAG &&
	    inode.xtra.reg.frag_idx >= image->sb.fragments)
		return EIO;
	answer->kind = BYTES;
	if ((uint64_t)request->offset >= inode.xtra.reg.file_size)
		return 0;
	answer->bytes = malloc(request->size);
	if (answer->bytes == NULL)
		return ENOMEM;
	if (sqfs_read_range(image, &inode, request->offset, &size, answer->bytes) != SQFS_OK)
		return EIO;
	answer->size = (size_t)size;
	return 0;
}

int act_readlink(sqfs *image, const struct request *request, struct answer *answer)
{
	sqfs_inode inode;

	if (get_inode(image, request->inode, &inode) != 0)
		return EIO;
	if (!S_ISLNK(inode.base.mode))
		return EINVAL;
	size_t size = inode.xtra.symlink_size + 1;
	if (size > PATH_MAX)
		return EIO;
	answer->kind = LINK;
	answer->bytes = malloc(size);
	if (answer->bytes == NULL)
		return ENOMEM;
	return sqfs_readlink(image, &inode, answer->bytes, &size) == SQFS_OK ? 0 : EIO;
}

/* The kernel asks for the size first, or offers so much room; listxattr(2), getxattr(2). */
static int answer_sized(const struct request *request, struct answer *answer)
{
	answer->kind = request->size == 0 ? SIZE : BYTES;
	return request->size != 0 && request->size < answer->size ? ERANGE : 0;
}

int act_listxattr(sqfs *image, const struct request *request, struct answer *answer)
{
	sqfs_inode inode;
	sqfs_xattr attribute;

	if (get_inode(image, request->inode, &inode) != 0 ||
	    sqfs_xattr_open(image, &inode, &attribute) != SQFS_OK)
		return EIO;
	answer->bytes = malloc(ATTRIBUTES_MAX_BYTES);
	if (answer->bytes == NULL)
		return ENOMEM;
	while (attribute.remain > 0) {
		if (sqfs_xattr_read(&attribute) != SQFS_OK)
			return EIO;
		char *end = answer->bytes + answer->size;
		answer->size += sqfs_xattr_name_size(&attribute) + 1;
		if (answer->size > ATTRIBUTES_MAX_BYTES)
			return EIO;
		if (sqfs_xattr_name(&attribute, end, true) != SQFS_OK)
			return EIO;
		answer->bytes[answer->size - 1] = '\0';
	}
	return answer_sized(request, answer);
}

int act_getxattr(sqfs *image, const struct request *request, struct answer *answer)
{
	sqfs_inode inode;

	answer->size = ATTRIBUTES_MAX_BYTES;
	answer->bytes = malloc(answer->size);
	if (answer->bytes == NULL)
		return ENOMEM;
	if (get_inode(image, request->inode, &inode) != 0 ||
	    sqfs_xattr_lookup(image, &inode, request->name, answer->bytes, &answer->size) !=
		SQFS_OK ||
	    answer->size > ATTRIBUTES_MAX_BYTES)
		return EIO;
	return answer->size == 0 ? ENODATA : answer_sized(request, answer);
}

int act_statfs(sqfs *image, const struct request *request, struct answer *answer)
{
	const struct squashfs_super_block *super = &image->sb;

	(void)request;
	answer->kind = STATFS;
	answer->statfs = (struct statvfs){.f_bsize = super->block_size,
					  .f_frsize = super->block_size,
					  .f_blocks = (super->bytes_used + super->block_size - 1) /
						      super->block_size,
					  .f_files = super->inodes,
					  .f_namemax = SQUASHFS_NAME_LEN};
	return 0;
}

static sqfs_err resize_cache(sqfs_cache *cache, size_t blocks)
{
	sqfs_cache_destroy(cache);
	return sqfs_block_cache_init(cache, blocks);
}

/* The library's own caches, of 8 metadata blocks and one data block, serve one reader. */
void image_open(sqfs *image)
{
	if (sqfs_init(image, -1, 0) != SQFS_OK)
		die(EXIT_INPUT, "cannot read the image: it is no squashfs file, or one of its "
				"first chunks did not come");
	uint32_t block_size = image->sb.block_size;
	if (block_size == 0 || block_size > SQUASHFS_FILE_MAX_SIZE)
		die(EXIT_INPUT, "cannot read the image: blocks of %u bytes", block_size);
	if (resize_cache(&image->md_cache, METADATA_BLOCKS) != SQFS_OK ||
	    resize_cache(&image->data_cache, 1 + DATA_CACHE_BYTES / block_size) != SQFS_OK ||
	    resize_cache(&image->frag_cache, 1 + DATA_CACHE_BYTES / block_size) != SQFS_OK)
		die(EXIT_INTERNAL, "cannot read the image: no memory");
}

bool image_is_block(sqfs *image, fuse_ino_t number, off_t offset)
{
	sqfs_inode inode;

	filling_begin(false);
	return get_inode(image, number, &inode) == 0 && S_ISREG(inode.base.mode) &&
	       (uint64_t)offset / image->sb.block_size < sqfs_blocklist_count(image, &inode);
}

bool image_has_xattrs(const sqfs *image)
{
	return image->sb.xattr_id_table_start != (uint64_t)SQUASHFS_INVALID_BLK;
}
