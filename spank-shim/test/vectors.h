/* The worked examples of docs/protocol.md. */
#ifndef LAYERCAKE_VECTORS_H
#define LAYERCAKE_VECTORS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static const char *vectors; /* the directory */

/* Appends the bytes of a .hex file; returns how many. */
static size_t read_vector(const char *name, uint8_t *bytes)
{
	char path[512];
	unsigned value;
	size_t size = 0;

	snprintf(path, sizeof(path), "%s/%s.hex", vectors, name);
	FILE *file = fopen(path, "r");
	if (file == NULL) {
		perror(path);
		exit(1);
	}
	while (fscanf(file, "%2x", &value) == 1)
		bytes[size++] = (uint8_t)value;
	fclose(file);
	return size;
}

#endif
