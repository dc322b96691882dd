#define _GNU_SOURCE
#include "sftp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 32, COMMAND_MAX = 1024 };

static const char *const places[] = {
    "/usr/lib/openssh/sftp-server",	/* Debian */
    "/usr/libexec/openssh/sftp-server", /* Fedora and its kin */
    "/usr/lib/ssh/sftp-server",		/* SUSE, Alpine, Arch */
    "/usr/lib/sftp-server",
    "/usr/libexec/sftp-server",
};
enum { PLACES = sizeof(places) / sizeof(places[0]) };

bool lc_is_sftp(const char *command)
{
	size_t length = strcspn(command, " \t");

	if (length == strlen("internal-sftp") && strncmp(command, "internal-sftp", length) == 0)
		return true;
	for (size_t i = 0; i < PLACES; i++)
		if (length == strlen(places[i]) && strncmp(command, places[i], length) == 0)
			return true;
	return false;
}

/* Our own loader and libc say where this distribution keeps them. */
static int open_runtime(struct dl_phdr_info *object, size_t size, void *context)
{
	struct lc_sftp *sftp = context;
	const char *slash = strrchr(object->dlpi_name, '/');
	char directory[PATH_MAX];

	(void)size;
	if (slash == NULL)
		return 0;
	if (strncmp(slash + 1, "ld-", 3) == 0 || strncmp(slash + 1, "ld64", 4) == 0)
		sftp->loader = open(object->dlpi_name, O_PATH | O_CLOEXEC);
	if (strncmp(slash + 1, "libc.so", 7) == 0 &&
	    (size_t)(slash - object->dlpi_name) < sizeof(directory)) {
		memcpy(directory, object->dlpi_name, (size_t)(slash - object->dlpi_name));
		directory[slash - object->dlpi_name] = '\0';
		sftp->libraries = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return 0;
}

struct lc_sftp lc_sftp_open(void)
{
	struct lc_sftp sftp = {-1, -1, -1};

	for (size_t i = 0; i < PLACES && sftp.server < 0; i++)
		sftp.server = open(places[i], O_PATH | O_CLOEXEC);
	if (sftp.server >= 0)
		dl_iterate_phdr(open_runtime, &sftp);
	return sftp;
}

/* Appends the words behind the first one; sshd_config knows no quotes there either. */
static void append_words(char *command, char **arguments, size_t count)
{
	char *rest = NULL, *word = strtok_r(command, " \t", &rest);

	while (word != NULL && count < ARGUMENTS_MAX - 1) {
		word = strtok_r(NULL, " \t", &rest);
		arguments[count++] = word;
	}
	arguments[count] = NULL;
}

/*
 * The host's program with the host's loader and libraries, all by descriptor: whatever C library
 * the image has, if any, does not matter. Two stay open, for the loader to find.
 */
static void exec_host(const struct lc_sftp *host, char *words)
{
	char libraries[32], server[32], name[] = "sftp-server", option[] = "--library-path";
	char *arguments[ARGUMENTS_MAX] = {name, option, libraries, server};

	snprintf(libraries, sizeof(libraries), "/proc/self/fd/%d", host->libraries);
	snprintf(server, sizeof(server), "/proc/self/fd/%d", host->server);
	append_words(words, arguments, 4);
	if (fcntl(host->server, F_SETFD, 0) < 0 || fcntl(host->libraries, F_SETFD, 0) < 0)
		return;
	fexecve(host->loader, arguments, environ);
}

void lc_sftp_exec(const struct lc_sftp *host, const char *command)
{
	char words[COMMAND_MAX], again[COMMAND_MAX], name[] = "sftp-server";
	char *arguments[ARGUMENTS_MAX] = {name};

	if (strlen(command) >= sizeof(words)) {
		errno = E2BIG;
		return;
	}
	strcpy(again, strcpy(words, command));
	append_words(words, arguments, 1);
	for (size_t i = 0; i < PLACES; i++)
		execve(places[i], arguments, environ);
	if (host->server >= 0 && host->loader >= 0 && host->libraries >= 0)
		exec_host(host, again);
}
