#include "input.h"
#include "common/die.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static unsigned char buffer[256 << 10];
static size_t from, to;

/* Whether there is a byte to read. */
static bool fill(void)
{
	ssize_t count;

	if (from < to)
		return true;
	do
		count = read(STDIN_FILENO, buffer, sizeof(buffer));
	while (count < 0 && errno == EINTR);
	if (count < 0)
		die(EXIT_INTERNAL, "cannot read the standard input: %s", strerror(errno));
	from = 0;
	to = (size_t)count;
	return count > 0;
}

const void *read_some(uint64_t most, size_t *length)
{
	if (!fill())
		die(EXIT_INTERNAL, "the input ends too early");
	*length = to - from < most ? to - from : (size_t)most;
	from += *length;
	return buffer + from - *length;
}

void read_bytes(void *target, size_t length)
{
	while (length > 0) {
		size_t count;
		const void *bytes = read_some(length, &count);

		memcpy(target, bytes, count);
		target = (char *)target + count;
		length -= count;
	}
}

uint8_t read_u8(void)
{
	uint8_t value;

	read_bytes(&value, sizeof(value));
	return value;
}

uint16_t read_u16(void)
{
	uint16_t value;

	read_bytes(&value, sizeof(value));
	return be16toh(value);
}

uint32_t read_u32(void)
{
	uint32_t value;

	read_bytes(&value, sizeof(value));
	return be32toh(value);
}

uint64_t read_u64(void)
{
	uint64_t value;

	read_bytes(&value, sizeof(value));
	return be64toh(value);
}

void require_end(void)
{
	if (fill())
		die(EXIT_INTERNAL, "something follows the end of the input");
}
