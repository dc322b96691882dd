#define _GNU_SOURCE
#include "image.h"
#include "common/die.h"
#include "filling.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum {
	METADATA_BLOCKS = 64, /* of 8 KiB; they are searched one by one */
	DATA_CACHE_BYTES = 2 << 20,
};

static struct {
	bool is_given; /* else files belong to whom the image says */
	uid_t uid;
	gid_t gid;
} owner;

void image_give_to(uid_t uid, gid_t gid)
{
	owner.is_given = true;
	owner.uid = uid;
	owner.gid = gid;
}

/* Inode ids have 48 bits; two up, none of them is 0 (none) or FUSE_ROOT_ID. */
static fuse_ino_t number_of(const struct squash *image, uint64_t id)
{
	return id == image->super.root ? FUSE_ROOT_ID : id + 2;
}

static int get_inode(struct squash *image, fuse_ino_t number, struct inode *inode)
{
	uint64_t id = number == FUSE_ROOT_ID ? image->super.root : number - 2;

	return squash_inode(image, id, inode) ? 0 : EIO;
}

static void describe(const struct squash *image, const struct inode *inode, fuse_ino_t number,
		     struct stat *status)
{
	*status = (struct stat){.st_ino = number,
				.st_mode = inode->mode,
				.st_nlink = inode->links,
				.st_uid = owner.is_given ? owner.uid : inode->uid,
				.st_gid = owner.is_given ? owner.gid : inode->gid,
				.st_mtime = inode->mtime,
				.st_ctime = inode->mtime,
				.st_atime = inode->mtime,
				.st_blksize = (blksize_t)image->super.block_size};
	if (S_ISREG(inode->mode)) {
		status->st_size = (off_t)inode->size;
		status->st_blocks = status->st_size / 512;
	} else if (S_ISLNK(inode->mode)) {
		status->st_size = (off_t)inode->size;
	} else if (S_ISBLK(inode->mode) || S_ISCHR(inode->mode)) {
		/* As the kernel's new_decode_dev(): the minor number is in two parts. */
		uint32_t device = inode->device;
		status->st_rdev =
		    makedev((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
	}
}

static int get_entry(struct squash *image, uint64_t id, struct fuse_entry_param *entry)
{
	struct inode inode;
	fuse_ino_t number = number_of(image, id);

	*entry = (struct fuse_entry_param){
	    .ino = number, .attr_timeout = FOREVER_SECONDS, .entry_timeout = FOREVER_SECONDS};
	if (get_inode(image, number, &inode) != 0)
		return EIO;
	describe(image, &inode, number, &entry->attr);
	return 0;
}

static int get_directory(struct squash *image, const struct request *request, struct inode *inode)
{
	int error = get_inode(image, request->inode, inode);

	return error != 0 || S_ISDIR(inode->mode) ? error : ENOTDIR;
}

int act_lookup(struct squash *image, const struct request *request, struct answer *answer)
{
	struct inode directory;
	struct entry found;
	bool is_found;
	int error = get_directory(image, request, &directory);

	if (error != 0)
		return error;
	if (!squash_lookup(image, &directory, request->name, &found, &is_found))
		return EIO;
	answer->kind = ENTRY;
	if (is_found)
		return get_entry(image, found.inode, &answer->entry);
	/* An entry without inode: the kernel remembers that there is no such file. */
	answer->entry = (struct fuse_entry_param){.entry_timeout = FOREVER_SECONDS};
	return 0;
}

int act_getattr(struct squash *image, const struct request *request, struct answer *answer)
{
	struct inode inode;

	answer->kind = ATTRIBUTES;
	if (get_inode(image, request->inode, &inode) != 0)
		return EIO;
	describe(image, &inode, request->inode, &answer->attributes);
	return 0;
}

static size_t add_entry(struct squash *image, const struct request *request,
			const struct entry *found, char *end, size_t left, bool plus)
{
	struct fuse_entry_param entry = {0};

	/* A damaged inode should not hide its neighbours: it is listed without attributes. */
	if (!plus || get_entry(image, found->inode, &entry) != 0) {
		entry.ino = 0;
		entry.attr.st_ino = number_of(image, found->inode);
		entry.attr.st_mode = found->type;
	}
	if (plus)
		return fuse_add_direntry_plus(request->fuse, end, left, found->name, &entry,
					      (off_t)found->next_offset);
	return fuse_add_direntry(request->fuse, end, left, found->name, &entry.attr,
				 (off_t)found->next_offset);
}

static int list_directory(struct squash *image, const struct request *request,
			  struct answer *answer, bool plus)
{
	struct inode inode;
	struct directory directory;
	struct entry found;
	enum step step;
	int error = get_directory(image, request, &inode);

	if (error != 0)
		return error;
	if (request->offset < 0 ||
	    !squash_list(image, &inode, (uint64_t)request->offset, &directory))
		return EINVAL;
	answer->kind = BYTES;
	answer->bytes = malloc(request->size);
	if (answer->bytes == NULL)
		return ENOMEM;
	while ((step = squash_next_entry(image, &directory, &found)) == STEP_ENTRY) {
		size_t left = request->size - answer->size;
		size_t used =
		    add_entry(image, request, &found, answer->bytes + answer->size, left, plus);
		if (used > left)
			break;
		answer->size += used;
	}
	return step == STEP_FAILED ? EIO : 0;
}

int act_readdir(struct squash *image, const struct request *request, struct answer *answer)
{
	return list_directory(image, request, answer, false);
}

int act_readdirplus(struct squash *image, const struct request *request, struct answer *answer)
{
	return list_directory(image, request, answer, true);
}

int act_read(struct squash *image, const struct request *request, struct answer *answer)
{
	struct inode inode;

	if (get_inode(image, request->inode, &inode) != 0)
		return EIO;
	if (!S_ISREG(inode.mode))
		return EISDIR;
	if (request->offset < 0)
		return EINVAL;
	answer->kind = BYTES;
	if ((uint64_t)request->offset >= inode.size)
		return 0;
	answer->bytes = malloc(request->size);
	if (answer->bytes == NULL)
		return ENOMEM;
	answer->size = request->size;
	return squash_read(image, &inode, (uint64_t)request->offset, answer->bytes, &answer->size)
		   ? 0
		   : EIO;
}

int act_readlink(struct squash *image, const struct request *request, struct answer *answer)
{
	struct inode inode;

	if (get_inode(image, request->inode, &inode) != 0)
		return EIO;
	if (!S_ISLNK(inode.mode))
		return EINVAL;
	answer->kind = LINK;
	answer->bytes = calloc(1, inode.size + 1);
	if (answer->bytes == NULL)
		return ENOMEM;
	return squash_link(image, &inode, answer->bytes) ? 0 : EIO;
}

/* The kernel asks for the size first, or offers so much room; listxattr(2), getxattr(2). */
static int answer_sized(const struct request *request, struct answer *answer)
{
	answer->kind = request->size == 0 ? SIZE : BYTES;
	return request->size != 0 && request->size < answer->size ? ERANGE : 0;
}

static int get_attributes(struct squash *image, const struct request *request,
			  struct answer *answer, struct attributes *all)
{
	struct inode inode;

	if (get_inode(image, request->inode, &inode) != 0 || !squash_attributes(image, &inode, all))
		return EIO;
	answer->bytes = malloc(ATTRIBUTE_MAX_BYTES);
	return answer->bytes == NULL ? ENOMEM : 0;
}

/* Overlays go by such attributes, and nobody else asks for them. overlayfs(5) */
static bool is_served(const char *name)
{
	return strncmp(name, "trusted.", strlen("trusted.")) != 0;
}

int act_listxattr(struct squash *image, const struct request *request, struct answer *answer)
{
	struct attributes all;
	struct attribute attribute;
	int error = get_attributes(image, request, answer, &all);

	while (error == 0 && all.left > 0) {
		if (!squash_next_attribute(image, &all, &attribute))
			return EIO;
		if (!is_served(attribute.name))
			continue;
		size_t size = strlen(attribute.name) + 1;
		if (size > ATTRIBUTE_MAX_BYTES - answer->size)
			return EIO;
		memcpy(answer->bytes + answer->size, attribute.name, size);
		answer->size += size;
	}
	return error != 0 ? error : answer_sized(request, answer);
}

int act_getxattr(struct squash *image, const struct request *request, struct answer *answer)
{
	struct attributes all;
	struct attribute attribute;
	int error = get_attributes(image, request, answer, &all);

	while (error == 0 && all.left > 0) {
		if (!squash_next_attribute(image, &all, &attribute))
			return EIO;
		if (strcmp(attribute.name, request->name) != 0 || !is_served(attribute.name))
			continue;
		answer->size = attribute.value_bytes;
		if (!squash_metadata(image, &attribute.value, answer->bytes, answer->size))
			return EIO;
		return answer_sized(request, answer);
	}
	return error != 0 ? error : ENODATA;
}

int act_statfs(struct squash *image, const struct request *request, struct answer *answer)
{
	const struct super *super = &image->super;

	(void)request;
	answer->kind = STATFS;
	answer->statfs =
	    (struct statvfs){.f_bsize = super->block_size,
			     .f_frsize = super->block_size,
			     .f_blocks = (super->bytes + super->block_size - 1) / super->block_size,
			     .f_files = super->inodes,
			     .f_namemax = NAME_MAX_BYTES};
	return 0;
}

void image_open(struct squash *image)
{
	uint32_t chunk;

	if (squash_open(image, filling_image_bytes(), METADATA_BLOCKS, DATA_CACHE_BYTES,
			DATA_CACHE_BYTES))
		return;
	if (filling_outcome(&chunk) != READS_GOOD)
		filling_die(chunk);
	if (image->no_memory)
		die(EXIT_INTERNAL, "cannot read the image: no memory");
	die(EXIT_DAMAGED, "cannot read the image: %s", image->cause);
}

bool image_is_block(struct squash *image, fuse_ino_t number, off_t offset)
{
	struct inode inode;

	filling_begin(false);
	return get_inode(image, number, &inode) == 0 && S_ISREG(inode.mode) && offset >= 0 &&
	       (uint64_t)offset / image->super.block_size < squash_block_count(image, &inode);
}
