/* Directories of an image. */
#include "squash.h"

#include <endian.h>
#include <string.h>
#include <sys/stat.h>

enum {
	HEADER_BYTES = 12,
	ENTRY_BYTES = 8,
	INDEX_BYTES = 12,
	HEADER_MAX_ENTRIES = 256,
	DOTS_BYTES = 3, /* a list's size counts "." and "..", which are not stored */
};

/* Does not cross the end of the list. */
static bool read_list(struct squash *image, struct directory *directory, void *buffer, size_t size)
{
	if (directory->total - directory->offset < size)
		return squash_fail(image, "a directory ends too early");
	if (!squash_metadata(image, &directory->cursor, buffer, size))
		return false;
	directory->offset += size;
	return true;
}

static struct cursor start_of(const struct squash *image, const struct inode *inode)
{
	return (struct cursor){.block = image->super.directory_table + inode->start,
			       .end = image->ids.end,
			       .offset = inode->offset};
}

static void begin(const struct squash *image, const struct inode *inode,
		  struct directory *directory)
{
	uint64_t total = inode->size <= DOTS_BYTES ? 0 : inode->size - DOTS_BYTES;

	*directory = (struct directory){.cursor = start_of(image, inode), .total = total};
}

static bool is_name(const char *name, size_t size)
{
	return memchr(name, '\0', size) == NULL && memchr(name, '/', size) == NULL &&
	       !(size == 1 && name[0] == '.') && !(size == 2 && memcmp(name, "..", 2) == 0);
}

static int compare(const char *name, size_t name_size, const char *other, size_t other_size)
{
	int order = memcmp(name, other, name_size < other_size ? name_size : other_size);

	if (order != 0)
		return order;
	return name_size < other_size ? -1 : name_size > other_size;
}

/* What a skip in the list goes by: the place or the name that is looked for. */
struct goal {
	uint64_t offset;
	const char *name; /* NULL: the offset */
	size_t name_size;
};

static bool is_beyond(const struct goal *goal, uint64_t offset, const char *name, size_t name_size)
{
	if (goal->name == NULL)
		return offset > goal->offset;
	return compare(name, name_size, goal->name, goal->name_size) > 0;
}

void squash_marks(const struct squash *image, const struct inode *inode,
		  struct marks_of_list *marks)
{
	*marks = (struct marks_of_list){
	    .cursor = inode->rest, .list = start_of(image, inode), .left = inode->indexes};
}

bool squash_next_mark(struct squash *image, struct marks_of_list *marks, struct mark_of_list *mark)
{
	uint32_t fields[INDEX_BYTES / sizeof(uint32_t)];

	if (!squash_metadata(image, &marks->cursor, fields, sizeof(fields)))
		return false;
	mark->offset = le32toh(fields[0]);
	/* As the kernel has it: the blocks before it are full. */
	mark->cursor = (struct cursor){
	    .block = image->super.directory_table + le32toh(fields[1]),
	    .end = marks->list.end,
	    .offset = (uint32_t)((marks->list.offset + mark->offset) % METADATA_BYTES)};
	mark->name_bytes = (size_t)le32toh(fields[2]) + 1;
	if (mark->name_bytes > NAME_MAX_BYTES)
		return squash_fail(image, "a directory's index makes no sense");
	marks->left--;
	return squash_metadata(image, &marks->cursor, mark->name, mark->name_bytes);
}

/* Goes to the last part of which the directory's marks say that it is not beyond the goal. */
static bool skip_to(struct squash *image, const struct inode *inode, struct directory *directory,
		    const struct goal *goal)
{
	struct marks_of_list marks;

	squash_marks(image, inode, &marks);
	while (marks.left > 0) {
		struct mark_of_list mark;
		if (!squash_next_mark(image, &marks, &mark))
			return false;
		if (mark.offset > directory->total)
			return squash_fail(image, "a directory's index makes no sense");
		if (is_beyond(goal, mark.offset, mark.name, mark.name_bytes))
			break;
		directory->cursor = mark.cursor;
		directory->offset = mark.offset;
	}
	return true;
}

bool squash_list(struct squash *image, const struct inode *inode, uint64_t offset,
		 struct directory *directory)
{
	struct entry entry;
	enum step step = STEP_ENTRY;

	begin(image, inode, directory);
	if (offset == 0)
		return true;
	if (!skip_to(image, inode, directory, &(struct goal){.offset = offset - 1}))
		return false;
	while (step == STEP_ENTRY && directory->offset < offset)
		step = squash_next_entry(image, directory, &entry);
	if (step == STEP_FAILED)
		return false;
	return directory->offset == offset ||
	       squash_fail(image, "no entry of the directory begins there");
}

static bool read_header(struct squash *image, struct directory *directory)
{
	uint32_t header[HEADER_BYTES / sizeof(uint32_t)];

	if (!read_list(image, directory, header, sizeof(header)))
		return false;
	uint32_t count = le32toh(header[0]);
	if (count >= HEADER_MAX_ENTRIES)
		return squash_fail(image, "a directory has too many entries in one part");
	directory->left = count + 1;
	directory->inode_block = le32toh(header[1]);
	directory->inode_number = le32toh(header[2]);
	return true;
}

static bool read_entry(struct squash *image, struct directory *directory, struct entry *entry)
{
	static const mode_t TYPES[] = {0,	S_IFDIR, S_IFREG, S_IFLNK,
				       S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK};
	uint16_t fields[ENTRY_BYTES / sizeof(uint16_t)];

	if (directory->left == 0 && !read_header(image, directory))
		return false;
	if (!read_list(image, directory, fields, sizeof(fields)))
		return false;
	directory->left--;
	size_t type = le16toh(fields[2]);
	entry->inode = ((uint64_t)directory->inode_block << 16) + le16toh(fields[0]);
	/* Signed, in two's complement. */
	uint32_t distance = le16toh(fields[1]);
	entry->number = directory->inode_number + distance - ((distance & 0x8000U) << 1);
	entry->name_bytes = (size_t)le16toh(fields[3]) + 1;
	if (type == 0 || type >= sizeof(TYPES) / sizeof(*TYPES))
		return squash_fail(image, "a directory's entry is of an unknown kind");
	entry->type = TYPES[type];
	if (entry->name_bytes > NAME_MAX_BYTES)
		return squash_fail(image, "a name is longer than 255 bytes");
	if (!read_list(image, directory, entry->name, entry->name_bytes))
		return false;
	entry->name[entry->name_bytes] = '\0';
	entry->next_offset = directory->offset;
	return is_name(entry->name, entry->name_bytes) ||
	       squash_fail(image, "a name is \".\" or \"..\", or has a slash or NUL in it");
}

enum step squash_next_entry(struct squash *image, struct directory *directory, struct entry *entry)
{
	if (directory->left == 0 && directory->offset >= directory->total)
		return STEP_END;
	return read_entry(image, directory, entry) ? STEP_ENTRY : STEP_FAILED;
}

bool squash_lookup(struct squash *image, const struct inode *inode, const char *name,
		   struct entry *entry, bool *found)
{
	struct goal goal = {.name = name, .name_size = strlen(name)};
	struct directory directory;
	enum step step;

	*found = false;
	begin(image, inode, &directory);
	if (!skip_to(image, inode, &directory, &goal))
		return false;
	while ((step = squash_next_entry(image, &directory, entry)) == STEP_ENTRY) {
		int order = compare(entry->name, entry->name_bytes, name, goal.name_size);
		*found = order == 0;
		if (order >= 0)
			return true;
	}
	return step == STEP_END;
}
