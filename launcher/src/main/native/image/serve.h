/* Answers the kernel's requests for one squashfs image, fuse(4), through libfuse and libsquashfuse.
 */
#ifndef LAYERCAKE_SERVE_H
#define LAYERCAKE_SERVE_H

/* Starts the threads that will serve what is mounted through this descriptor; they wait. */
void serve_prepare(int fuse);

/* Reads the image, ends the program when it is none, then serves until the end of the mount. */
void serve(void);

#endif
