/*
 * The codes that programs and tasks of ours exit with: those of sysexits(3), and what they mean
 * here. docs/user-guide.md tells users.
 */
#ifndef LAYERCAKE_EXITS_H
#define LAYERCAKE_EXITS_H

enum {
	EXIT_REQUEST = 64,	 /* the request is malformed, or cannot be fulfilled by anybody */
	EXIT_DAMAGED = 65,	 /* what should be an image is damaged, or not one */
	EXIT_MISSING = 66,	 /* no such image, file or mount source */
	EXIT_ARCHITECTURE = 68,	 /* the image is for another processor than the node's */
	EXIT_UNAVAILABLE = 69,	 /* the launcher is not running; an image has more than is proved */
	EXIT_INTERNAL = 70,	 /* an error inside LayerCake, or of the kernel */
	EXIT_FULL = 73,		 /* no room for what is written */
	EXIT_INPUT = 74,	 /* an image or a mount source cannot be read */
	EXIT_TEMPORARY = 75,	 /* a part of an image did not come in time */
	EXIT_PERMISSION = 77,	 /* the user may not do this */
	EXIT_MISCONFIGURED = 78, /* the node or the cluster is not set up */
	EXIT_NOT_EXECUTABLE = 126, /* the command of a session cannot be run, as shells have it */
	EXIT_NOT_FOUND = 127,	   /* the command of a session is not there, as shells have it */
};

#endif
