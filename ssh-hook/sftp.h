/* An sftp server for a container whose image has none. */
#ifndef LAYERCAKE_SFTP_H
#define LAYERCAKE_SFTP_H

#include <stdbool.h>

/* The host's sftp-server and what it takes to run it anywhere; descriptors, -1 for none. */
struct lc_sftp {
	int server;
	int loader;    /* the dynamic loader */
	int libraries; /* the directory that has the libraries */
};

/* Whether sshd asks for its sftp subsystem, whichever way sshd_config names that. */
bool lc_is_sftp(const char *command);

/* To be called on the host. */
struct lc_sftp lc_sftp_open(void);

/*
 * Becomes an sftp server: the one that is installed where the process is now, else the host's. The
 * command's arguments go with it. Returns only when neither can run, with errno.
 */
void lc_sftp_exec(const struct lc_sftp *host, const char *command);

#endif
