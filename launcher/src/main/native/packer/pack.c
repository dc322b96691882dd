/* pack OUTPUT [PROCESSORS]: makes a squashfs image of the file tree that is described on the
 * standard input.
 *
 * Whoever writes the description has the tree in order already, so nothing here looks up a path or
 * sorts: it takes memory for the inodes of files only, and time in proportion to the input. The
 * same input gives the same image, whatever the number of processors and their load.
 *
 * The description, all numbers big-endian:
 *
 *   stream     = "lcpack1\n" content… 'T' entry… 'E'            the root directory's entries
 *   content    = 'C' u64:length bytes                           of a regular file
 *              | 'H' u64:length part…                           of one with holes
 *   part       = u64:zeros u64:length bytes                     until all of the file is there
 *   entry      = 'D' name u16:mode u32:mtime attributes entry… 'E'           a directory
 *              | 'F' name u16:mode u32:mtime u32:links u32:content attributes   a regular file
 *              | 'S' name u32:mtime u32:links u16:length target              a symbolic link
 *              | 'P' name u16:mode u32:mtime u32:links                       a FIFO
 *              | 'H' name u32:inode                                          a hard link
 *   name       = u8:length bytes
 *   attributes = u16:count { name u32:length value }            extended ones, in full (user.x)
 *
 * The entries of a directory are in ascending order of their bytes. Contents are numbered from 0 as
 * they come, each is the content of exactly one inode. An inode with more than one link is numbered
 * from 0, too, and has as many links as it says. mode is permissions, mtime seconds since 1970.
 *
 * Exit codes are those of sysexits(3): 73 when the image does not fit, 70 for all else, the input
 * included. */
#define _GNU_SOURCE
#include "common/count.h"
#include "common/die.h"
#include "contents.h"
#include "image.h"
#include "tree.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

enum { PIPE_BYTES = 1 << 20 };

int main(int argc, char **argv)
{
	unsigned processors = argc == 3 ? count_argument(argv[2]) : UINT_MAX;

	if (argc < 2 || argc > 3 || processors == 0)
		die(EXIT_REQUEST, "usage: pack OUTPUT [PROCESSORS] < DESCRIPTION");
	signal(SIGXFSZ, SIG_IGN);			     /* a write fails with EFBIG then */
	(void)fcntl(STDIN_FILENO, F_SETPIPE_SZ, PIPE_BYTES); /* fewer switches, if it can be had */
	image_begin(argv[1], processors);
	read_contents();
	read_tree();
	image_end();
	return 0;
}
