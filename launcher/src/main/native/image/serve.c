#define _GNU_SOURCE
#include "serve.h"
#include "common/die.h"
#include "filling.h"
#include "image.h"
#include "requests.h"

#include <errno.h>
#include <stdio.h>

static struct fuse_session *session;
static struct squash main_image;
static bool kernel_needs_no_open;

static void on_init(void *data, struct fuse_conn_info *connection)
{
	unsigned int wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
			      FUSE_CAP_READDIRPLUS | FUSE_CAP_CACHE_SYMLINKS |
			      FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT;

	(void)data;
	connection->want = connection->capable & wanted;
	kernel_needs_no_open = (connection->capable & FUSE_CAP_NO_OPEN_SUPPORT) != 0 &&
			       (connection->capable & FUSE_CAP_NO_OPENDIR_SUPPORT) != 0;
}

/* Files and directories. ENOSYS: never ask again, and cache as below. */
static void on_open(fuse_req_t fuse, fuse_ino_t inode, struct fuse_file_info *file)
{
	(void)inode;
	if (kernel_needs_no_open) {
		fuse_reply_err(fuse, ENOSYS);
		return;
	}
	file->keep_cache = 1;
	file->cache_readdir = 1;
	fuse_reply_open(fuse, file);
}

static void begin(fuse_req_t fuse, action *act, fuse_ino_t inode, size_t size, off_t offset,
		  const char *name)
{
	struct request request = {
	    .fuse = fuse, .act = act, .inode = inode, .size = size, .offset = offset, .name = name};

	request_answer(&main_image, &request);
}

static void on_lookup(fuse_req_t fuse, fuse_ino_t parent, const char *name)
{
	begin(fuse, act_lookup, parent, 0, 0, name);
}

static void on_getattr(fuse_req_t fuse, fuse_ino_t inode, struct fuse_file_info *file)
{
	(void)file;
	begin(fuse, act_getattr, inode, 0, 0, NULL);
}

static void on_readdir(fuse_req_t fuse, fuse_ino_t inode, size_t size, off_t offset,
		       struct fuse_file_info *file)
{
	(void)file;
	begin(fuse, act_readdir, inode, size, offset, NULL);
}

static void on_readdirplus(fuse_req_t fuse, fuse_ino_t inode, size_t size, off_t offset,
			   struct fuse_file_info *file)
{
	(void)file;
	begin(fuse, act_readdirplus, inode, size, offset, NULL);
}

static void on_read(fuse_req_t fuse, fuse_ino_t inode, size_t size, off_t offset,
		    struct fuse_file_info *file)
{
	struct request request = {
	    .fuse = fuse, .act = act_read, .inode = inode, .size = size, .offset = offset};

	(void)file;
	if (image_is_block(&main_image, inode, offset))
		request_give(&request);
	else
		request_answer(&main_image, &request);
}

static void on_readlink(fuse_req_t fuse, fuse_ino_t inode)
{
	begin(fuse, act_readlink, inode, 0, 0, NULL);
}

/* ENOSYS: never ask again. */
static void on_listxattr(fuse_req_t fuse, fuse_ino_t inode, size_t size)
{
	if (main_image.super.has_attributes)
		begin(fuse, act_listxattr, inode, size, 0, NULL);
	else
		fuse_reply_err(fuse, ENOSYS);
}

static void on_getxattr(fuse_req_t fuse, fuse_ino_t inode, const char *name, size_t size)
{
	if (main_image.super.has_attributes)
		begin(fuse, act_getxattr, inode, size, 0, name);
	else
		fuse_reply_err(fuse, ENOSYS);
}

static void on_statfs(fuse_req_t fuse, fuse_ino_t inode)
{
	begin(fuse, act_statfs, inode, 0, 0, NULL);
}

static const struct fuse_lowlevel_ops operations = {
    .init = on_init,
    .lookup = on_lookup,
    .getattr = on_getattr,
    .open = on_open,
    .opendir = on_open,
    .readdir = on_readdir,
    .readdirplus = on_readdirplus,
    .read = on_read,
    .readlink = on_readlink,
    .listxattr = on_listxattr,
    .getxattr = on_getxattr,
    .statfs = on_statfs,
};

void serve_prepare(int fuse)
{
	char *words[] = {"imageserver", NULL};
	struct fuse_args arguments = FUSE_ARGS_INIT(1, words);
	char path[32];

	snprintf(path, sizeof(path), "/dev/fd/%d", fuse);
	session = fuse_session_new(&arguments, &operations, sizeof(operations), NULL);
	if (session == NULL || fuse_session_mount(session, path) != 0)
		die(EXIT_INTERNAL, "cannot make a FUSE session");
	requests_prepare();
}

void serve(void)
{
	struct fuse_buf buffer = {.mem = NULL};

	filling_begin(true);
	image_open(&main_image);
	/* Whatever is done first, names are looked up. */
	filling_ask_ahead(main_image.super.inode_table, main_image.super.bytes);
	requests_begin();
	while (!fuse_session_exited(session)) {
		int got = fuse_session_receive_buf(session, &buffer);
		if (got > 0)
			fuse_session_process_buf(session, &buffer);
		else if (got != -EINTR)
			break;
	}
}
