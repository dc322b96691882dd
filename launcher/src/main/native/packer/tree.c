#include "tree.h"
#include "contents.h"
#include "image.h"
#include "input.h"
#include "require.h"

#include <endian.h>
#include <limits.h>
#include <sqfs/inode.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	MAX_DEPTH = 4096,
	MAX_ATTRIBUTES = 1 << 14,
	MAX_VALUE_BYTES = 1 << 16,
};

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

static struct linked *linked;
static uint32_t linked_count, linked_room;
static struct entry **waiting;
static size_t waiting_count, waiting_room;
static uint32_t inode_count;

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

	sqfs_inode_generic_t *inode = take_content(number);
	uint32_t attributes = read_attributes();

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

void read_tree(void)
{
	struct entry root = {0};

	image.super.inode_table_start = image.file->get_size(image.file);
	end_directory(&root, 0755, 0, NONE, 1, 0);
	require_end();
	require_all_taken();
	for (uint32_t i = 0; i < linked_count; i++)
		require(linked[i].left == 0, "a hard link too few");
	image.super.root_inode_ref = root.reference;
	image.super.inode_count = inode_count;
}
