/* CRC-32C (Castagnoli), as java.util.zip.CRC32C and RFC 3720 have it. */
#ifndef LAYERCAKE_CRC32C_H
#define LAYERCAKE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues a checksum, which begins as 0. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);

/* Without the processor's instructions; for tests. */
uint32_t crc32c_by_table(uint32_t crc, const void *bytes, size_t size);

/* As if there were so many zeros. */
uint32_t crc32c_add_zeros(uint32_t crc, size_t size);

/* Always so many: each time it takes no longer than four look-ups. */
struct crc32c_zeros {
	size_t size; /* 0: not learnt */
	uint32_t table[4][256];
};
void crc32c_learn_zeros(struct crc32c_zeros *zeros, size_t size);
uint32_t crc32c_add_learned_zeros(const struct crc32c_zeros *zeros, uint32_t crc);

#endif
