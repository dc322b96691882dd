/* The image file of the fuzzer: bytes in memory, of which reads may fail. */
#ifndef LAYERCAKE_FUZZ_FILE_H
#define LAYERCAKE_FUZZ_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuzz_file {
	const uint8_t *bytes;
	size_t size;
	int reads;
	bool cut_short;	      /* by a limit of the fuzzer: nothing can be said of the image */
	unsigned fail_one_in; /* reads; 0: none fails */
	bool has_failed;
	uint64_t random_state; /* not 0 */
};

extern struct fuzz_file image_file;

uint64_t random_below(uint64_t limit);

#endif
