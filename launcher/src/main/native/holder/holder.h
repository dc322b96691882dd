/*
 * The parts of the holder. Each function either does what it says or ends the program with one line
 * on stderr and an exit code, die.h.
 */
#ifndef LAYERCAKE_HOLDER_H
#define LAYERCAKE_HOLDER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The job's user, as the node's user database has it. */
struct user {
	uid_t uid;
	gid_t gid;
	char *name;
	char *home;
	char *shell;
	gid_t *groups; /* all, the primary one included */
	int group_count;
};

/* One `--mount` or `--site-mount`. */
struct bind {
	const char *source;
	const char *destination;
	bool writable;
	bool site;	       /* asked for by the site: left out when it can not be had */
	int given;	       /* its place on the command line */
	bool is_dir;	       /* else a file, a device, … */
	int fd;		       /* the source, opened as the user; -1 when left out */
	char inside[PATH_MAX]; /* the destination without symbolic links, inside the image */
};

struct plan {
	uint32_t job;
	const char *spool; /* SlurmdSpoolDir */
	const char *image; /* where the image is mounted */
	const char *stage; /* an empty directory of ours */
	const char *pause;
	const char *ch_run;
	bool root_inside;
	struct user user;
	struct bind *binds;
	size_t bind_count;
};

/* adopt.c */

/*
 * Moves this process into the job's extern step, so that the job pays for it and Slurm ends it with
 * the job. Proves on the way that the job is on this node and belongs to uid. Call before the first
 * fork. Returns the job's own mount namespace, or -1 when the job has none.
 */
int adopt_into_extern_step(uint32_t job, uid_t uid, const char *spool);

/* user.c */

void find_user(uid_t uid, struct user *user);
/* Puts on the user's identity for file access, and takes it off again. */
void borrow_identity(const struct user *user);
void return_identity(void);
/* For good. */
void become_user(const struct user *user);
/* What the container is to have as /etc/passwd and /etc/group. */
void write_passwd(const struct user *user, const char *path);
void write_group(const struct user *user, const char *path);

/* mounts.c */

/*
 * Enters a new mount namespace, made from the job's own if there is one and else from the node's.
 * Returns a detached copy of the image's mount, which is in no namespace yet.
 */
int enter_private_mounts(int job_namespace, const char *image);
/* Attaches what enter_private_mounts returned. */
void attach_mount(int mount_fd, const char *target);
/* Takes every mount below a directory out of this mount namespace. */
void detach_mounts_below(const char *directory);
/* Makes a mount and all below it read-only, and proves it. */
void make_read_only(const char *target);

/* tree.c */

/* Where a path leads inside a tree whose root is not "/". */
struct place {
	char path[PATH_MAX]; /* from the tree's root, without symbolic links, "." and ".." */
	bool exists;
	mode_t mode;
};

/* Follows a path as if the tree were the root directory. Returns 0 or an errno. */
int find_in_tree(int tree, const char *path, struct place *place);

/* source.c */

/*
 * As open(2) with O_PATH, but refuses, with ELOOP, links of /proc that lead elsewhere than their
 * text. Runs with the user's identity. Returns a descriptor, or -1 with errno.
 */
int open_source_path(const char *path, int flags);
/* The same where the kernel has no openat2(2), before 5.6. */
int open_step_by_step(const char *path, int flags);

/* skeleton.c: in the stage, which is the current directory */

void make_dir(const char *path, mode_t mode);
void make_file(const char *path, mode_t mode);
/* Adds what the image lacks, the directory `image`; returns whether that is anything. */
bool add_skeleton(int image);
/* Adds a mount point; directories above it look as they do in the image. */
void add_to_skeleton(int image, const char *path, bool is_dir, mode_t mode);

/* stage.c */

/* Prepares the new root directory below plan->stage. */
void stage_container(struct plan *plan, int image_mount);

#endif
