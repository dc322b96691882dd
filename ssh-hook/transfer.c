#define _GNU_SOURCE
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 32, COMMAND_MAX = 1024 };

static const char *const sftp_servers[] = {
    "/usr/lib/openssh/sftp-server",	/* Debian */
    "/usr/libexec/openssh/sftp-server", /* Fedora and its kin */
    "/usr/lib/ssh/sftp-server",		/* SUSE, Alpine, Arch */
    "/usr/lib/sftp-server",
    "/usr/libexec/sftp-server",
};
enum { SFTP_SERVERS = sizeof(sftp_servers) / sizeof(sftp_servers[0]) };

static bool starts_with_word(const char *command, const char *word)
{
	size_t length = strcspn(command, " \t");

	return length == strlen(word) && strncmp(command, word, length) == 0;
}

enum lc_program lc_transfer_of(const char *command)
{
	if (starts_with_word(command, "scp"))
		return LC_SCP;
	if (starts_with_word(command, "rsync"))
		return LC_RSYNC;
	if (starts_with_word(command, "internal-sftp"))
		return LC_SFTP;
	for (size_t i = 0; i < SFTP_SERVERS; i++)
		if (starts_with_word(command, sftp_servers[i]))
			return LC_SFTP;
	return LC_NO_TRANSFER;
}

/* Our own loader and libc say where this distribution keeps them. */
static int open_runtime(struct dl_phdr_info *object, size_t size, void *context)
{
	struct lc_transfer *host = context;
	const char *slash = strrchr(object->dlpi_name, '/');
	char directory[PATH_MAX];

	(void)size;
	if (slash == NULL)
		return 0;
	if (strncmp(slash + 1, "ld-", 3) == 0 || strncmp(slash + 1, "ld64", 4) == 0)
		host->loader = open(object->dlpi_name, O_PATH | O_CLOEXEC);
	if (strncmp(slash + 1, "libc.so", 7) == 0 &&
	    (size_t)(slash - object->dlpi_name) < sizeof(directory)) {
		memcpy(directory, object->dlpi_name, (size_t)(slash - object->dlpi_name));
		directory[slash - object->dlpi_name] = '\0';
		host->libraries = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return 0;
}

struct lc_transfer lc_transfer_open(enum lc_program program)
{
	struct lc_transfer host = LC_TRANSFER_NONE;

	if (program == LC_SCP)
		host.program = open("/usr/bin/scp", O_PATH | O_CLOEXEC);
	if (program == LC_RSYNC)
		host.program = open("/usr/bin/rsync", O_PATH | O_CLOEXEC);
	for (size_t i = 0; program == LC_SFTP && i < SFTP_SERVERS && host.program < 0; i++)
		host.program = open(sftp_servers[i], O_PATH | O_CLOEXEC);
	if (program == LC_SCP || program == LC_RSYNC)
		host.shell = open("/bin/sh", O_PATH | O_CLOEXEC);
	if (host.program >= 0 || host.shell >= 0)
		dl_iterate_phdr(open_runtime, &host);
	return host;
}

/*
 * A program of the host runs with the host's loader and libraries, all by descriptor: whatever C
 * library the image has, if any, does not matter. So they have to stay open.
 */
static bool keep_open(const struct lc_transfer *host, int program)
{
	return program >= 0 && host->loader >= 0 && host->libraries >= 0 &&
	       fcntl(program, F_SETFD, 0) == 0 && fcntl(host->loader, F_SETFD, 0) == 0 &&
	       fcntl(host->libraries, F_SETFD, 0) == 0;
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

/* The arguments behind the program's name are in place from the fifth on. */
static void exec_host(const struct lc_transfer *host, int program, char *name,
		      char *arguments[ARGUMENTS_MAX])
{
	char libraries[32], path[32], option[] = "--library-path";

	snprintf(libraries, sizeof(libraries), "/proc/self/fd/%d", host->libraries);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", program);
	arguments[0] = name;
	arguments[1] = option;
	arguments[2] = libraries;
	arguments[3] = path;
	fexecve(host->loader, arguments, environ);
}

void lc_transfer_shell_exec(const struct lc_transfer *host, const char *script)
{
	char name[] = "sh", option[] = "-c", *text = strdup(script);
	char *arguments[ARGUMENTS_MAX] = {[4] = option, [5] = text};

	errno = ENOENT;
	if (text != NULL && keep_open(host, host->shell))
		exec_host(host, host->shell, name, arguments);
	int error = errno;
	free(text);
	errno = error;
}

void lc_sftp_exec(const struct lc_transfer *host, const char *command)
{
	char words[COMMAND_MAX], again[COMMAND_MAX], name[] = "sftp-server";
	char *arguments[ARGUMENTS_MAX] = {name};

	if (strlen(command) >= sizeof(words)) {
		errno = E2BIG;
		return;
	}
	strcpy(again, strcpy(words, command));
	append_words(words, arguments, 1);
	for (size_t i = 0; i < SFTP_SERVERS; i++)
		execve(sftp_servers[i], arguments, environ);
	if (keep_open(host, host->program)) {
		append_words(again, arguments, 4);
		exec_host(host, host->program, name, arguments);
	}
}

static bool is_on_path(const char *name)
{
	const char *at = getenv("PATH");
	char path[PATH_MAX];

	while (at != NULL && *at != '\0') {
		int part = (int)strcspn(at, ":");
		int length = snprintf(path, sizeof(path), "%.*s/%s", part, at, name);
		if (length > 0 && (size_t)length < sizeof(path) && access(path, X_OK) == 0)
			return true;
		at += part;
		at += *at == ':';
	}
	return false;
}

const char *lc_transfer_script(const struct lc_transfer *host, enum lc_program program,
			       const char *command, char *script, size_t size)
{
	const char *name = program == LC_SCP ? "scp" : "rsync";

	if (is_on_path(name) || !keep_open(host, host->program))
		return command;
	/* The shell takes the function for the program. */
	int length = snprintf(script, size,
			      "%s() { exec /proc/self/fd/%d --library-path /proc/self/fd/%d "
			      "/proc/self/fd/%d \"$@\"; }\n%s",
			      name, host->loader, host->libraries, host->program, command);
	return length > 0 && (size_t)length < size ? script : NULL;
}
