/*
 * What a holder is asked to do: its command line, and what becomes of it. Its parts either do what
 * they say or end the program with one line on stderr and an exit code, die.h.
 */
#ifndef LAYERCAKE_PLAN_H
#define LAYERCAKE_PLAN_H

#include "user.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One `--mount`, `--image-mount`, or one of the site's, or `--directory`. */
struct bind {
	const char *source;
	const char *destination;
	bool writable;
	bool needed;	 /* by a profile or a device: must be there, whatever the rules */
	bool image;	 /* the source is where an image is mounted */
	bool site;	 /* asked for by the site: left out when it can not be had */
	bool yields;	 /* as is what has nothing to add to what is there anyway */
	bool scratch;	 /* an empty directory of ours: left out if the image has no place for it */
	bool new_in_dev; /* the node's /dev has no such name */
	int given;	 /* its place on the command line */
	bool is_dir;	 /* else a file, a device, … */
	int fd;		 /* the source, opened as the user, or an image's mount; -1 when left out */
	char inside[PATH_MAX]; /* the destination without symbolic links, inside the image */
};

/* One `--replace`: a library, and by what name images have it. */
struct replacement {
	const char *source;
	const char *name;
};

/* What an option says that may be there several times. */
struct texts {
	const char **list;
	size_t count;
};

/* One `--mount-rule`: what the site says of sources in, or outside of all, directories. */
struct mount_rule {
	bool allows;   /* else it denies */
	bool others;   /* about what is outside */
	char *refusal; /* what the user is told */
	char **paths;
	size_t path_count;
};

struct plan {
	uint32_t job;
	const char *spool; /* SlurmdSpoolDir */
	const char *image; /* where the image is mounted */
	const char *stage; /* an empty directory of ours */
	const char *pause;
	const char *ch_run;
	bool root_inside;
	bool time_zone;			  /* the node's, inside too */
	bool writable;			  /* the image: mount points are made in it */
	struct texts hide;		  /* directories below which no other mount is to be seen */
	struct texts users;		  /* of the node, whom the container knows, too */
	struct texts library_directories; /* of the image */
	struct replacement *replacements;
	size_t replacement_count;
	const char *scratch_size; /* of all scratch directories, as tmpfs(5) has it */
	struct user user;
	struct bind *binds;
	size_t bind_count;
	struct mount_rule *rules; /* the first that is about a source decides */
	size_t rule_count;
};

#endif
