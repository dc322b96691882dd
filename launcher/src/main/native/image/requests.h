/* The kernel's requests from when they have come to their answers: who does them, and when. */
#ifndef LAYERCAKE_REQUESTS_H
#define LAYERCAKE_REQUESTS_H

#include "image.h"

/* Starts the threads that will work; they wait. */
void requests_prepare(void);

/* Opens an image for each of them, ends the program when it is none, and has them begin. */
void requests_begin(void);

/* Answers a request at once, or when the chunks are there that it takes. */
void request_answer(struct squash *image, const struct request *request);

/* The same, by one of the threads. */
void request_give(const struct request *request);

#endif
