/*
 * The standard input. All numbers are big-endian. Input that ends too early ends the program.
 */
#ifndef LAYERCAKE_INPUT_H
#define LAYERCAKE_INPUT_H

#include <stddef.h>
#include <stdint.h>

uint8_t read_u8(void);
uint16_t read_u16(void);
uint32_t read_u32(void);
uint64_t read_u64(void);
void read_bytes(void *target, size_t length);
/* Up to `most` bytes where they lie, until the next call; `*length` is at least 1. */
const void *read_some(uint64_t most, size_t *length);
void require_end(void);

#endif
