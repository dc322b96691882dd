/* pack OUTPUT: makes a squashfs image of the file tree that is described on the standard input.
 *
 * Whoever writes the description has the tree in order already, so nothing here looks up a path or
 * sorts: it takes memory for the inodes of files only, and time in proportion to the input. The
 * same input gives the same image, whatever the number of processors and their load.
 *
 * The description, all numbers big-endian:
 *
 *   stream     = "lcpack1\n" content… 'T' entry… 'E'            the root directory's entries
 *   content    = 'C' u64:length bytes                           of a regular file
 *   entry      = 'D' name u16:mode u32:mtime attributes entry… 'E'           a directory
 *              | 'F' name u16:mode u32:mtime u32:links u32:content attributes   a regular file
 *              | 'S' name u32:mtime u32:links u16:length target              a symbolic link
 *              | 'P' name u16:mode u32:mtime u32:links                       a FIFO
 *              | 'H' name u32:inode                                          a hard link
 *   name       = u8:length bytes
 *   attributes = u16:count { name u32:length value }            extended ones, in full (user.x)
 *
 * The entries of a directory are in ascending order of their bytes. Contents are numbered from 0 as
 * they come, each is the content of exactly one inode. An inode with more than one link is numbered
 * from 0, too, and has as many links as it says. mode is permissions, mtime seconds since 1970.
 *
 * Exit codes are those of sysexits(3): 73 when the image does not fit, 70 for all else, the input
 * included. */
#define _GNU_SOURCE
#include "pack.h"
#include "common/die.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sqfs/block.h>
#include <sqfs/block_processor.h>
#include <sqfs/dir_writer.h>
#include <sqfs/error.h>
#include <sqfs/frag_table.h>
#include <sqfs/id_table.h>
#include <sqfs/inode.h>
#include <sqfs/meta_writer.h>
#include <sqfs/super.h>
#include <sqfs/xattr_writer.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	COMPRESSION_LEVEL = 3,
	PIPE_BYTES = 1 << 20,
	PADDING = 4096, /* the kernel mounts whole pages */
	MAX_WORKERS = 16,
	BACKLOG = 64,	      /* blocks in flight: 8 MiB; it decides on the order, so it is fixed */
	MAX_INODES = 1 << 24, /* of each kind; much more than whoever calls allows */
	MAX_DEPTH = 4096,
	MAX_ATTRIBUTES = 1 << 14,
	MAX_VALUE_BYTES = 1 << 16,
	CONTENTS_PER_SHELF = 4096,
};

static const char MAGIC[8] = "lcpack1\n";
static const uint32_t NONE = 0xffffffff;

/* A directory's entry that waits for the directory's end. */
struct entry {
	uint64_t reference; /* of the inode, as directories have it */
	uint32_t number;
	uint16_t type;
	char name[]; /* ends with a zero */
};

/* An inode of several names, of which not all have come yet. */
struct linked {
	uint64_t reference;
	uint32_t number;
	uint32_t left;
	uint16_t type;
};

static struct {
	sqfs_file_t *file;
	sqfs_super_t super;
	sqfs_compressor_t *compressor;
	sqfs_compressor_t *uncompressor;
	sqfs_block_processor_t *processor;
	sqfs_frag_table_t *fragments;
	sqfs_id_table_t *ids;
	sqfs_xattr_writer_t *attributes;
	sqfs_meta_writer_t *inodes;
	sqfs_meta_writer_t *names;
	sqfs_dir_writer_t *directory;
} image;

/* libsquashfs keeps the places of the pointers, so they must not move. */
static sqfs_inode_generic_t **shelves[MAX_INODES / CONTENTS_PER_SHELF];
static uint32_t content_count, contents_used;
static struct linked *linked;
static uint32_t linked_count, linked_room;
static struct entry **waiting;
static size_t waiting_count, waiting_room;
static uint32_t inode_count;

void require_ok(int result, const char *act)
{
	if (result >= 0)
		return;
	if (result == SQFS_ERROR_ALLOC)
		die(EXIT_INTERNAL, "cannot %s: out of memory", act);
	die(EXIT_INTERNAL, "cannot %s: error %d of libsquashfs", act, result);
}

void *require_memory(void *pointer)
{
	if (pointer == NULL)
		die(EXIT_INTERNAL, "out of memory");
	return pointer;
}

static void require(bool is_so, const char *complaint)
{
	if (!is_so)
		die(EXIT_INTERNAL, "malformed input: %s", complaint);
}

/* --- contents --- */

static sqfs_inode_generic_t **content(uint32_t number)
{
	return &shelves[number / CONTENTS_PER_SHELF][number % CONTENTS_PER_SHELF];
}

static void read_content(void)
{
	require(content_count < MAX_INODES, "too many files");
	if (content_count % CONTENTS_PER_SHELF == 0)
		shelves[content_count / CONTENTS_PER_SHELF] =
		    require_memory(calloc(CONTENTS_PER_SHELF, sizeof(sqfs_inode_generic_t *)));
	require_ok(
	    sqfs_block_processor_begin_file(image.processor, content(content_count++), NULL, 0),
	    "begin a file");
	for (uint64_t left = read_u64(); left > 0;) {
		size_t length;
		const void *bytes = read_some(left, &length);

		require_ok(sqfs_block_processor_append(image.processor, bytes, length),
			   "pack a file");
		left -= length;
	}
	require_ok(sqfs_block_processor_end_file(image.processor), "end a file");
}

static void read_contents(void)
{
	char magic[sizeof(MAGIC)];
	uint8_t kind;

	read_bytes(magic, sizeof(magic));
	require(memcmp(magic, MAGIC, sizeof(magic)) == 0, "it begins otherwise");
	while ((kind = read_u8()) == 'C')
		read_content();
	require(kind == 'T', "neither a file nor the tree");
	require_ok(sqfs_block_processor_finish(image.processor), "pack the last files");
}

/* --- the tree --- */

static struct entry *read_name(void)
{
	uint8_t length = read_u8();
	struct entry *entry = require_memory(calloc(1, sizeof(*entry) + length + 1u));

	read_bytes(entry->name, length);
	require(length > 0 && strlen(entry->name) == length && strchr(entry->name, '/') == NULL &&
		    strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0,
		"an impossible name");
	return entry;
}

/* The index of the attributes in their table. */
static uint32_t read_attributes(void)
{
	static char value[MAX_VALUE_BYTES];
	uint16_t count = read_u16();
	uint32_t index = NONE;

	require(count <= MAX_ATTRIBUTES, "too many attributes");
	if (count == 0)
		return NONE;
	require_ok(sqfs_xattr_writer_begin(image.attributes, 0), "begin attributes");
	for (uint16_t i = 0; i < count; i++) {
		char name[UINT8_MAX + 1] = "";
		uint8_t name_length = read_u8();

		read_bytes(name, name_length);
		uint32_t length = read_u32();

		require(strlen(name) == name_length && length <= sizeof(value),
			"an impossible attribute");
		read_bytes(value, length);
		require_ok(sqfs_xattr_writer_add(image.attributes, name, value, length),
			   "add an attribute");
	}
	require_ok(sqfs_xattr_writer_end(image.attributes, &index), "end attributes");
	return index;
}

static uint16_t read_mode(void)
{
	uint16_t mode = read_u16();

	require((mode & ~07777) == 0, "an impossible mode");
	return mode;
}

static uint32_t read_links(void)
{
	uint32_t links = read_u32();

	require(links >= 1 && links <= MAX_INODES, "an impossible number of links");
	return links;
}

static uint32_t next_number(void)
{
	require(inode_count < MAX_INODES, "too many inodes");
	return ++inode_count;
}

static void write_inode(struct entry *entry, sqfs_inode_generic_t *inode)
{
	uint64_t block;
	uint32_t offset;

	inode->base.inode_number = entry->number;
	sqfs_meta_writer_get_position(image.inodes, &block, &offset);
	entry->reference = block << 16 | offset;
	require_ok(sqfs_meta_writer_write_inode(image.inodes, inode), "write an inode");
}

/* Block by block: libsquashfs would put all sizes on the stack, 8 MiB for a file of 256 GiB. */
static void write_file_inode(struct entry *entry, sqfs_inode_generic_t *inode)
{
	uint32_t blocks = inode->payload_bytes_used / (uint32_t)sizeof(uint32_t);

	inode->payload_bytes_used = 0;
	write_inode(entry, inode);
	for (uint32_t i = 0; i < blocks; i++) {
		uint32_t size = htole32(inode->extra[i]);

		require_ok(sqfs_meta_writer_append(image.inodes, &size, sizeof(size)),
			   "write an inode");
	}
}

static void wait_for_end(struct entry *entry)
{
	if (waiting_count == waiting_room) {
		waiting_room = waiting_room == 0 ? 1024 : 2 * waiting_room;
		waiting = require_memory(reallocarray(waiting, waiting_room, sizeof(*waiting)));
	}
	waiting[waiting_count++] = entry;
}

static void remember(const struct entry *entry, uint32_t links)
{
	if (links == 1)
		return;
	if (linked_count == linked_room) {
		linked_room = linked_room == 0 ? 1024 : 2 * linked_room;
		linked = require_memory(reallocarray(linked, linked_room, sizeof(*linked)));
	}
	linked[linked_count++] =
	    (struct linked){entry->reference, entry->number, links - 1, entry->type};
}

static struct entry *read_file(void)
{
	struct entry *entry = read_name();
	uint16_t mode = read_mode();
	uint32_t mtime = read_u32();
	uint32_t links = read_links();
	uint32_t number = read_u32();

	require(number < content_count && *content(number) != NULL, "an impossible content");
	uint32_t attributes = read_attributes();
	sqfs_inode_generic_t *inode = *content(number);

	entry->type = S_IFREG;
	entry->number = next_number();
	inode->base.mode = S_IFREG | mode;
	inode->base.mod_time = mtime;
	if (attributes != NONE || links > 1 || inode->base.type == SQFS_INODE_EXT_FILE) {
		require_ok(sqfs_inode_make_extended(inode), "extend an inode");
		inode->data.file_ext.nlink = links;
		inode->data.file_ext.xattr_idx = attributes;
	}
	write_file_inode(entry, inode);
	remember(entry, links);
	sqfs_free(inode);
	*content(number) = NULL;
	contents_used++;
	return entry;
}

static struct entry *read_symbolic_link(void)
{
	struct entry *entry = read_name();
	uint32_t mtime = read_u32();
	uint32_t links = read_links();
	uint16_t length = read_u16();

	require(length > 0 && length < PATH_MAX, "an impossible link");
	sqfs_inode_generic_t *inode = require_memory(calloc(1, sizeof(*inode) + length + 1u));

	read_bytes(inode->extra, length);
	require(strlen((char *)inode->extra) == length, "a zero byte in a link");
	entry->type = S_IFLNK;
	entry->number = next_number();
	inode->base.type = SQFS_INODE_SLINK;
	inode->base.mode = S_IFLNK | 0777;
	inode->base.mod_time = mtime;
	inode->data.slink.nlink = links;
	inode->data.slink.target_size = length;
	inode->payload_bytes_used = inode->payload_bytes_available = length;
	write_inode(entry, inode);
	remember(entry, links);
	free(inode);
	return entry;
}

static struct entry *read_fifo(void)
{
	struct entry *entry = read_name();
	sqfs_inode_generic_t inode = {.base.type = SQFS_INODE_FIFO};

	inode.base.mode = (uint16_t)(S_IFIFO | read_mode());
	inode.base.mod_time = read_u32();
	inode.data.ipc.nlink = read_links();
	entry->type = S_IFIFO;
	entry->number = next_number();
	write_inode(entry, &inode);
	remember(entry, inode.data.ipc.nlink);
	return entry;
}

static struct entry *read_hard_link(void)
{
	struct entry *entry = read_name();
	uint32_t index = read_u32();

	require(index < linked_count && linked[index].left > 0, "a hard link too many");
	linked[index].left--;
	entry->type = linked[index].type;
	entry->number = linked[index].number;
	entry->reference = linked[index].reference;
	return entry;
}

/* Writes the list of what waits from `first` on, and gives an inode for it. */
static sqfs_inode_generic_t *write_list(size_t first, uint32_t attributes, uint32_t parent)
{
	uint32_t links = 2;

	require_ok(sqfs_dir_writer_begin(image.directory, 0), "begin a directory");
	for (size_t i = first; i < waiting_count; i++) {
		const struct entry *entry = waiting[i];

		require_ok(sqfs_dir_writer_add_entry(image.directory, entry->name, entry->number,
						     entry->reference, entry->type),
			   "add a name to a directory");
		links += entry->type == S_IFDIR;
	}
	require_ok(sqfs_dir_writer_end(image.directory), "end a directory");
	sqfs_inode_generic_t *inode =
	    require_memory(sqfs_dir_writer_create_inode(image.directory, 0, attributes, parent));

	if (inode->base.type == SQFS_INODE_DIR)
		inode->data.dir.nlink = links;
	else
		inode->data.dir_ext.nlink = links;
	while (waiting_count > first)
		free(waiting[--waiting_count]);
	return inode;
}

static struct entry *read_directory(uint32_t parent, unsigned depth);

/* NULL at the directory's end. */
static struct entry *read_entry(uint32_t parent, unsigned depth)
{
	switch (read_u8()) {
	case 'D':
		return read_directory(parent, depth + 1);
	case 'F':
		return read_file();
	case 'S':
		return read_symbolic_link();
	case 'P':
		return read_fifo();
	case 'H':
		return read_hard_link();
	case 'E':
		return NULL;
	default:
		require(false, "an entry of no known kind");
		return NULL;
	}
}

static void read_entries(uint32_t parent, unsigned depth)
{
	size_t first = waiting_count;
	struct entry *entry;

	require(depth <= MAX_DEPTH, "too many directories in one another");
	while ((entry = read_entry(parent, depth)) != NULL) {
		require(waiting_count == first ||
			    strcmp(waiting[waiting_count - 1]->name, entry->name) < 0,
			"names out of order");
		wait_for_end(entry);
	}
}

/* Reads what is in a directory and writes it. */
static void end_directory(struct entry *entry, uint16_t mode, uint32_t mtime, uint32_t attributes,
			  uint32_t parent, unsigned depth)
{
	size_t first = waiting_count;

	entry->type = S_IFDIR;
	entry->number = next_number();
	read_entries(entry->number, depth);
	sqfs_inode_generic_t *inode = write_list(first, attributes, parent);

	inode->base.mode = S_IFDIR | mode;
	inode->base.mod_time = mtime;
	write_inode(entry, inode);
	sqfs_free(inode);
}

static struct entry *read_directory(uint32_t parent, unsigned depth)
{
	struct entry *entry = read_name();
	uint16_t mode = read_mode();
	uint32_t mtime = read_u32();

	end_directory(entry, mode, mtime, read_attributes(), parent, depth);
	return entry;
}

static void read_tree(void)
{
	struct entry root = {0};

	image.super.inode_table_start = image.file->get_size(image.file);
	end_directory(&root, 0755, 0, NONE, 1, 0);
	require_end();
	require(contents_used == content_count, "a content that no file has");
	for (uint32_t i = 0; i < linked_count; i++)
		require(linked[i].left == 0, "a hard link too few");
	image.super.root_inode_ref = root.reference;
	image.super.inode_count = inode_count;
}

/* --- the image --- */

/* Nothing is smaller than it is: so tables are stored as they are, and the chunker finds in them
 * what has not changed. */
static sqfs_s32 do_not_compress(sqfs_compressor_t *compressor, const sqfs_u8 *in, sqfs_u32 size,
				sqfs_u8 *out, sqfs_u32 room)
{
	(void)compressor;
	(void)in;
	(void)size;
	(void)out;
	(void)room;
	return 0;
}

static sqfs_compressor_t no_compressor = {.do_block = do_not_compress};

static sqfs_compressor_t *zstd(uint16_t flags)
{
	sqfs_compressor_config_t config;
	sqfs_compressor_t *compressor;

	require_ok(sqfs_compressor_config_init(&config, SQFS_COMP_ZSTD, BLOCK_BYTES, flags),
		   "use zstd");
	config.level = COMPRESSION_LEVEL;
	require_ok(sqfs_compressor_create(&config, &compressor), "use zstd");
	return compressor;
}

static uint32_t workers(void)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return (uint32_t)(count < MAX_WORKERS ? count : MAX_WORKERS);
}

static void begin(const char *path)
{
	sqfs_block_processor_desc_t description = {
	    .size = sizeof(description),
	    .max_block_size = BLOCK_BYTES,
	    .num_workers = workers(),
	    .max_backlog = BACKLOG,
	};

	image.file = output_create(path);
	image.compressor = zstd(0);
	image.uncompressor = zstd(SQFS_COMP_FLAG_UNCOMPRESS);
	require_ok(sqfs_super_init(&image.super, BLOCK_BYTES, 0, SQFS_COMP_ZSTD),
		   "make a superblock");
	require_ok(sqfs_super_write(&image.super, image.file), "write the superblock");
	int options = image.compressor->write_options(image.compressor, image.file);

	require_ok(options, "write the compressor's options");
	if (options > 0)
		image.super.flags |= SQFS_FLAG_COMPRESSOR_OPTIONS;
	image.super.flags |= SQFS_FLAG_UNCOMPRESSED_INODES;
	image.fragments = require_memory(sqfs_frag_table_create(0));
	image.ids = require_memory(sqfs_id_table_create(0));
	image.attributes = require_memory(sqfs_xattr_writer_create(0));
	image.inodes = require_memory(sqfs_meta_writer_create(image.file, &no_compressor, 0));
	image.names = require_memory(
	    sqfs_meta_writer_create(image.file, image.compressor, SQFS_META_WRITER_KEEP_IN_MEMORY));
	image.directory = require_memory(sqfs_dir_writer_create(image.names, 0));
	description.cmp = image.compressor;
	description.uncmp = image.uncompressor;
	description.file = image.file;
	description.tbl = image.fragments;
	description.wr = block_writer_create(image.file);
	require_ok(sqfs_block_processor_create_ex(&description, &image.processor),
		   "start the compressing threads");
}

static void end(void)
{
	uint16_t root;

	require_ok(sqfs_id_table_id_to_index(image.ids, 0, &root), "add an id");
	require_ok(sqfs_meta_writer_flush(image.inodes), "write inodes");
	image.super.directory_table_start = image.file->get_size(image.file);
	require_ok(sqfs_meta_writer_flush(image.names), "write directories");
	require_ok(sqfs_meta_write_write_to_file(image.names), "write directories");
	require_ok(
	    sqfs_frag_table_write(image.fragments, image.file, &image.super, image.compressor),
	    "write the fragment table");
	require_ok(sqfs_id_table_write(image.ids, image.file, &image.super, image.compressor),
		   "write the id table");
	require_ok(
	    sqfs_xattr_writer_flush(image.attributes, image.file, &image.super, image.compressor),
	    "write attributes");
	image.super.bytes_used = image.file->get_size(image.file);
	require_ok(sqfs_super_write(&image.super, image.file), "write the superblock");
	uint64_t whole = (image.super.bytes_used + PADDING - 1) / PADDING * PADDING;

	if (whole > image.super.bytes_used)
		require_ok(image.file->truncate(image.file, whole), "pad the image");
	output_close(image.file);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		die(EXIT_REQUEST, "usage: pack OUTPUT < DESCRIPTION");
	signal(SIGXFSZ, SIG_IGN);			     /* a write fails with EFBIG then */
	(void)fcntl(STDIN_FILENO, F_SETPIPE_SZ, PIPE_BYTES); /* fewer switches, if it can be had */
	begin(argv[1]);
	read_contents();
	read_tree();
	end();
	return 0;
}
