/* sftp, scp and rsync in containers whose image lacks them: the host's programs serve there. */
#ifndef LAYERCAKE_TRANSFER_H
#define LAYERCAKE_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>

enum lc_program { LC_NO_TRANSFER, LC_SFTP, LC_SCP, LC_RSYNC };

/* A program of the host and what it takes to run it anywhere; descriptors, -1 for none. */
struct lc_transfer {
	int program;
	int loader;    /* the dynamic loader */
	int libraries; /* the directory that has the libraries */
	int shell;     /* for scp and rsync, whose command only a shell can read */
};

#define LC_TRANSFER_NONE ((struct lc_transfer){-1, -1, -1, -1})

/* Which of them a command asks for; sftp is what sshd_config(5) has for its subsystem. */
enum lc_program lc_transfer_of(const char *command);

/* To be called on the host. */
struct lc_transfer lc_transfer_open(enum lc_program program);

/*
 * Becomes an sftp server: the one that is installed where the process is now, else the host's. The
 * command's arguments go with it. Returns only when neither can run, with errno.
 */
void lc_sftp_exec(const struct lc_transfer *host, const char *command);

/*
 * For scp and rsync: the command, or a shell script that runs it with the host's program when there
 * is none on the PATH. NULL when it does not fit.
 */
const char *lc_transfer_script(const struct lc_transfer *host, enum lc_program program,
			       const char *command, char *script, size_t size);

/* Becomes the host's shell with a script. Returns only when it cannot run, with errno. */
void lc_transfer_shell_exec(const struct lc_transfer *host, const char *script);

#endif
