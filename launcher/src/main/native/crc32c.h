/* CRC-32C (Castagnoli), as java.util.zip.CRC32C and RFC 3720 have it. */
#ifndef LAYERCAKE_CRC32C_H
#define LAYERCAKE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues a checksum, which begins as 0. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);

/* Without the processor's instructions; for tests. */
uint32_t crc32c_by_table(uint32_t crc, const void *bytes, size_t size);

#endif
