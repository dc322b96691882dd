/*
 * unpack [--mine] IMAGE_FILE
 *
 * Writes all of a squashfs image as a tar to the standard output. Names come sorted, each once, a
 * directory before what is in it, and none leads out of it or through a link: whoever unpacks the
 * tar into an empty directory writes in that alone. Everything belongs to root, of attributes the
 * user's are there, sockets are not. With --mine, for somebody who unpacks it as the own, neither
 * are devices, nor the bits that would lend the user's id to others. Exit codes are those of prove;
 * a tar without an end is not whole.
 */
#define _GNU_SOURCE
#include "common/die.h"
#include "common/sandbox.h"
#include "names.h"
#include "squash/file.h"
#include "squash/squash.h"
#include "tar.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum {
	MEMORY_MAX_BYTES = 160 << 20,
	METADATA_BLOCKS = 128,
	FRAGMENT_CACHE_BYTES = 8 << 20,
	/* As much as is proved. */
	NAMES_MAX = 2200000,
	DEPTH_MAX = 4096,
	PATH_MAX_BYTES = 1 << 16,
};

static const uint64_t BYTES_MAX = 1ULL << 41;
static const char USERS[] = "user.";

/* A directory that the walk is in. */
struct frame {
	struct directory directory;
	size_t path_bytes; /* of its own path */
	char last[NAME_MAX_BYTES + 1];
};

static struct squash image;
static bool mine;
static const char *image_path;
static uint64_t names_seen;
static uint64_t bytes_seen;
static struct frame frames[DEPTH_MAX];
static size_t depth;
static char path[PATH_MAX_BYTES + NAME_MAX_BYTES + 3]; /* with a slash behind directories */

static _Noreturn void fail(int code, const char *cause)
{
	die(code, "cannot read \"%s\": %s", path[0] == '\0' ? image_path : path, cause);
}

static _Noreturn void fail_as_read(void)
{
	if (image_errno != 0)
		fail(EXIT_INPUT, "the file could not be read from its disk");
	fail(image.no_memory ? EXIT_INTERNAL : EXIT_DAMAGED, image.cause);
}

static void add_attribute(struct attribute *attribute)
{
	static uint8_t value[ATTRIBUTE_MAX_BYTES];

	/* A record's key has no place for an equals sign. */
	if (strncmp(attribute->name, USERS, sizeof(USERS) - 1) != 0 ||
	    strchr(attribute->name, '=') != NULL)
		return;
	if (!squash_metadata(&image, &attribute->value, value, attribute->value_bytes))
		fail_as_read();
	if (!tar_attribute(attribute->name, value, attribute->value_bytes))
		fail(EXIT_UNAVAILABLE, "it has more attributes than can be unpacked");
}

static void add_attributes(const struct inode *inode)
{
	struct attributes all;

	if (inode->attributes == SQUASHFS_INVALID_XATTR)
		return;
	if (!squash_attributes(&image, inode, &all))
		fail_as_read();
	while (all.left > 0) {
		struct attribute attribute;
		if (!squash_next_attribute(&image, &all, &attribute))
			fail_as_read();
		add_attribute(&attribute);
	}
}

static void write_content(const struct inode *inode)
{
	struct blocks blocks;
	uint64_t left = inode->size;

	squash_blocks(&image, inode, &blocks);
	while (left > 0) {
		const uint8_t *bytes;
		size_t size;
		if (!squash_next_part(&image, inode, &blocks, &bytes, &size))
			fail_as_read();
		if (size == 0 || size > left)
			fail(EXIT_DAMAGED, "the file ends too early");
		tar_data(bytes, size);
		left -= size;
	}
	tar_end_of_file(inode->size);
}

static struct tar_entry entry_of(const struct inode *inode, char type)
{
	mode_t mode = inode->mode & 07777;

	return (struct tar_entry){.path = path,
				  .type = type,
				  .mode = mine ? mode & ~(mode_t)(S_ISUID | S_ISGID) : mode,
				  .mtime = inode->mtime};
}

static void write_file(const struct inode *inode)
{
	const char *first = names_find(inode->number);
	struct tar_entry entry = entry_of(inode, first == NULL ? '0' : '1');

	if (first != NULL) {
		if (first[0] == '\0')
			fail(EXIT_DAMAGED, "a directory is a file elsewhere");
		entry.target = first;
		tar_begin(&entry);
		return;
	}
	if (inode->links > 1)
		names_note(inode->number, path);
	bytes_seen += inode->size;
	if (inode->size > BYTES_MAX || bytes_seen > BYTES_MAX)
		fail(EXIT_UNAVAILABLE, "its files are more than 2 TiB");
	add_attributes(inode);
	entry.size = inode->size;
	tar_begin(&entry);
	write_content(inode);
}

static void write_link(const struct inode *inode)
{
	char text[LINK_MAX_BYTES + 1];
	struct tar_entry entry = entry_of(inode, '2');

	if (!squash_link(&image, inode, text))
		fail_as_read();
	text[inode->size] = '\0';
	if (inode->size == 0 || strlen(text) != inode->size)
		fail(EXIT_DAMAGED, "a symbolic link is empty, or has a NUL in it");
	entry.target = text;
	tar_begin(&entry);
}

/* As the kernel writes device numbers for others, new_encode_dev(). */
static void write_device(const struct inode *inode)
{
	struct tar_entry entry = entry_of(inode, S_ISCHR(inode->mode) ? '3' : '4');

	if (mine)
		return;
	entry.major = inode->device >> 8 & 0xfff;
	entry.minor = (inode->device & 0xff) | (inode->device >> 12 & 0xfff00);
	tar_begin(&entry);
}

static void enter(const struct inode *inode)
{
	if (depth == DEPTH_MAX)
		fail(EXIT_UNAVAILABLE, "it is deeper than 4,096 directories");
	struct frame *frame = &frames[depth];
	if (!squash_list(&image, inode, 0, &frame->directory))
		fail_as_read();
	frame->path_bytes = strlen(path);
	frame->last[0] = '\0';
	depth++;
}

static void write_directory(const struct inode *inode)
{
	struct tar_entry entry = entry_of(inode, '5');

	if (names_find(inode->number) != NULL)
		fail(EXIT_DAMAGED, "a directory is in several places");
	names_note(inode->number, "");
	strcat(path, "/"); /* there is room for it */
	add_attributes(inode);
	tar_begin(&entry);
	enter(inode);
}

static void write_fifo(const struct inode *inode)
{
	struct tar_entry entry = entry_of(inode, '6');

	tar_begin(&entry);
}

static void visit(const struct entry *entry)
{
	struct inode inode;

	if (++names_seen > NAMES_MAX)
		fail(EXIT_UNAVAILABLE, "it has more than 2,200,000 names");
	if (!squash_inode(&image, entry->inode, &inode))
		fail_as_read();
	if (inode.number == 0 || inode.number > image.super.inodes)
		fail(EXIT_DAMAGED, "the number of an inode makes no sense");
	switch (inode.mode & S_IFMT) {
	case S_IFREG:
		write_file(&inode);
		break;
	case S_IFDIR:
		write_directory(&inode);
		break;
	case S_IFLNK:
		write_link(&inode);
		break;
	case S_IFCHR:
	case S_IFBLK:
		write_device(&inode);
		break;
	case S_IFIFO:
		write_fifo(&inode);
		break;
	default: /* nobody can make a socket of an archive */
		break;
	}
}

static void append(struct frame *frame, const struct entry *entry)
{
	if (frame->path_bytes + entry->name_bytes > PATH_MAX_BYTES)
		fail(EXIT_UNAVAILABLE, "its files have paths of more than 65,536 bytes");
	/* That each name comes once keeps a directory from taking the place of a link. */
	if (strcmp(frame->last, entry->name) >= 0)
		fail(EXIT_DAMAGED, "the next name in its directory is out of order");
	memcpy(frame->last, entry->name, entry->name_bytes + 1);
	memcpy(path + frame->path_bytes, entry->name, entry->name_bytes + 1);
}

static void walk(void)
{
	while (depth > 0) {
		struct frame *frame = &frames[depth - 1];
		struct entry entry;
		path[frame->path_bytes] = '\0';
		switch (squash_next_entry(&image, &frame->directory, &entry)) {
		case STEP_ENTRY:
			append(frame, &entry);
			visit(&entry);
			break;
		case STEP_END:
			depth--;
			break;
		case STEP_FAILED:
			fail_as_read();
		}
	}
}

static void begin(uint64_t file_bytes)
{
	struct inode root;

	if (!squash_open(&image, file_bytes, METADATA_BLOCKS, 1, FRAGMENT_CACHE_BYTES) ||
	    !squash_inode(&image, image.super.root, &root))
		fail_as_read();
	if (image.super.inodes > NAMES_MAX)
		fail(EXIT_UNAVAILABLE, "it has more than 2,200,000 inodes");
	if (!names_begin(image.super.inodes))
		fail(EXIT_INTERNAL, "no memory");
	if (root.number <= image.super.inodes)
		names_note(root.number, "");
	enter(&root);
}

int main(int argc, char **argv)
{
	mine = argc == 3 && strcmp(argv[1], "--mine") == 0;
	if (argc != 2 && !mine)
		die(EXIT_REQUEST, "usage: unpack [--mine] IMAGE_FILE");
	image_path = argv[argc - 1];
	uint64_t bytes = open_image(image_path);
	/* The image may come from somebody else, and says how much memory reading it takes. */
	limit_memory(MEMORY_MAX_BYTES);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die(EXIT_INTERNAL, "cannot set no_new_privs");
	enter_sandbox();
	begin(bytes);
	walk();
	tar_end();
	return EXIT_SUCCESS;
}
