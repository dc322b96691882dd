#include "crc32c.h"
#include "common/little.h"

#include <stdbool.h>

#if defined(__aarch64__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

static uint32_t tables[8][256];

static void make_tables(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
		tables[0][byte] = crc;
	}
	for (int table = 1; table < 8; table++)
		for (int byte = 0; byte < 256; byte++) {
			uint32_t before = tables[table - 1][byte];
			tables[table][byte] = (before >> 8) ^ tables[0][before & 0xff];
		}
}

/* Eight bytes at a time. */
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	if (tables[0][1] == 0)
		make_tables();
	crc = ~crc;
	for (; size >= 8; size -= 8, bytes += 8) {
		uint64_t word = u64_at(bytes) ^ crc;
		crc = 0;
		for (int i = 0; i < 8; i++)
			crc ^= tables[7 - i][(word >> (8 * i)) & 0xff];
	}
	for (; size > 0; size--, bytes++)
		crc = (crc >> 8) ^ tables[0][(crc ^ *bytes) & 0xff];
	return ~crc;
}

#if defined(__x86_64__)
static bool has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2") != 0;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *bytes,
								 size_t size)
{
	uint64_t wide = ~crc;

	for (; size >= 8; size -= 8, bytes += 8)
		wide = __builtin_ia32_crc32di(wide, u64_at(bytes));
	uint32_t rest = (uint32_t)wide;
	for (; size > 0; size--, bytes++)
		rest = __builtin_ia32_crc32qi(rest, *bytes);
	return ~rest;
}
#elif defined(__aarch64__)
static bool has_instruction(void)
{
	return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}

__attribute__((target("+crc"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *bytes,
							       size_t size)
{
	crc = ~crc;
	for (; size >= 8; size -= 8, bytes += 8)
		crc = __crc32cd(crc, u64_at(bytes));
	for (; size > 0; size--, bytes++)
		crc = __crc32cb(crc, *bytes);
	return ~crc;
}
#else
static bool has_instruction(void)
{
	return false;
}

static uint32_t by_instruction(uint32_t crc, const uint8_t *bytes, size_t size)
{
	return crc32c_by_table(crc, bytes, size);
}
#endif

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size)
{
	return has_instruction() ? by_instruction(crc, bytes, size)
				 : crc32c_by_table(crc, bytes, size);
}

uint32_t crc32c_add_zeros(uint32_t crc, size_t size)
{
	static const uint8_t zeros[4096];

	for (; size > sizeof(zeros); size -= sizeof(zeros))
		crc = crc32c(crc, zeros, sizeof(zeros));
	return crc32c(crc, zeros, size);
}

/* A checksum is linear: what zeros make of it is the sum of what they make of its bits. */
void crc32c_learn_zeros(struct crc32c_zeros *zeros, size_t size)
{
	uint32_t none = crc32c_add_zeros(0, size);

	for (int byte = 0; byte < 4; byte++) {
		uint32_t *table = zeros->table[byte];
		table[0] = 0;
		for (int bit = 0; bit < 8; bit++)
			table[1 << bit] = none ^ crc32c_add_zeros(1U << (8 * byte + bit), size);
		for (unsigned value = 1; value < 256; value++)
			table[value] = table[value & (value - 1)] ^ table[value & -value];
	}
	for (int value = 0; value < 256; value++)
		zeros->table[0][value] ^= none;
	zeros->size = size;
}

uint32_t crc32c_add_learned_zeros(const struct crc32c_zeros *zeros, uint32_t crc)
{
	return zeros->table[0][crc & 0xff] ^ zeros->table[1][(crc >> 8) & 0xff] ^
	       zeros->table[2][(crc >> 16) & 0xff] ^ zeros->table[3][crc >> 24];
}
