/* What a squashfs image answers to the kernel's requests. Knows nothing of threads. */
#ifndef LAYERCAKE_IMAGE_H
#define LAYERCAKE_IMAGE_H

#define FUSE_USE_VERSION 31
#include <fuse3/fuse_lowlevel.h>

#include "squash/squash.h"

#include <stdbool.h>

enum kind { NOTHING, ENTRY, ATTRIBUTES, LINK, BYTES, SIZE, STATFS };

struct answer {
	enum kind kind;
	char *bytes; /* of LINK and BYTES, to be freed */
	size_t size; /* of BYTES and SIZE */
	union {
		struct fuse_entry_param entry;
		struct stat attributes;
		struct statvfs statfs;
	};
};

struct request;

/* Fills in the answer; returns 0 or an errno. May be called again after a failure. */
typedef int action(struct squash *image, const struct request *request, struct answer *answer);

struct request {
	fuse_req_t fuse;
	action *act;
	fuse_ino_t inode;
	size_t size;
	off_t offset;
	const char *name;
	/* Of parked ones: */
	struct request *next;
	uint32_t missed;
	int64_t deadline_millis;
	int64_t interrupted_millis;
};

action act_lookup, act_getattr, act_readdir, act_readdirplus, act_read, act_readlink, act_listxattr,
    act_getxattr, act_statfs;

#define FOREVER_SECONDS 1e9 /* an image never changes */

/* All files are said to be theirs, whatever the image says. To be called before anything is asked.
 */
void image_give_to(uid_t uid, gid_t gid);

/* Opens an image; ends the program when it is none, or does not come. */
void image_open(struct squash *image);

/* Whether this part of a file is in a block of its own, not in one shared with other files. */
bool image_is_block(struct squash *image, fuse_ino_t inode, off_t offset);

#endif
