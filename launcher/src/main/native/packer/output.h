/* The image file. A failed write ends the program, with the kernel's own words. */
#ifndef LAYERCAKE_OUTPUT_H
#define LAYERCAKE_OUTPUT_H

#include <sqfs/io.h>

sqfs_file_t *output_create(const char *path);
void output_close(sqfs_file_t *file);

#endif
