#define _GNU_SOURCE
#include "note.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY "contained"

static enum lc_note find_any_note(const char *directory, uint32_t uid)
{
	char suffix[16];
	enum lc_note found = LC_NO_NOTE;
	DIR *notes = opendir(directory);
	struct dirent *note;

	if (notes == NULL)
		return errno == ENOENT ? LC_NO_NOTE : LC_NOTE_UNKNOWN;
	snprintf(suffix, sizeof(suffix), ".%u", uid);
	errno = 0;
	while (found == LC_NO_NOTE && (note = readdir(notes)) != NULL) {
		const char *dot = strrchr(note->d_name, '.');
		/* One that begins with a dot is not complete. */
		if (dot != NULL && dot != note->d_name && strcmp(dot, suffix) == 0)
			found = LC_NOTE_OF_STEPS;
	}
	int cause = errno;
	closedir(notes);
	errno = cause;
	return found == LC_NO_NOTE && cause != 0 ? LC_NOTE_UNKNOWN : found;
}

enum lc_note lc_find_note(const char *run_directory, uint32_t job, uint32_t uid)
{
	char path[PATH_MAX];
	struct stat status;
	int length = snprintf(path, sizeof(path), "%s/" DIRECTORY, run_directory);

	if (length < 0 || (size_t)length + 24 > sizeof(path)) {
		errno = ENAMETOOLONG;
		return LC_NOTE_UNKNOWN;
	}
	if (job == 0)
		return find_any_note(path, uid);
	snprintf(path + length, sizeof(path) - (size_t)length, "/%u.%u", job, uid);
	if (stat(path, &status) < 0)
		return errno == ENOENT ? LC_NO_NOTE : LC_NOTE_UNKNOWN;
	return status.st_size > 0 ? LC_NOTE_OF_JOB : LC_NOTE_OF_STEPS;
}

int lc_leave_note(const char *run_directory, uint32_t job, uint32_t uid, const char *spec)
{
	char note[PATH_MAX], staged[PATH_MAX];
	size_t length = strlen(spec);
	int fd;

	if (strlen(run_directory) + sizeof(DIRECTORY) + 32 > sizeof(note)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	sprintf(note, "%s/" DIRECTORY, run_directory);
	if (mkdir(note, 0711) < 0 && errno != EEXIST)
		return -1;
	sprintf(staged, "%s/" DIRECTORY "/.%u", run_directory, job);
	sprintf(note, "%s/" DIRECTORY "/%u.%u", run_directory, job, uid);
	fd = open(staged, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0400);
	if (fd < 0)
		return -1;
	bool written = write(fd, spec, length) == (ssize_t)length;
	if (close(fd) == 0 && written && rename(staged, note) == 0)
		return 0;
	int cause = errno;
	(void)unlink(staged);
	errno = cause;
	return -1;
}

void lc_remove_note(const char *run_directory, uint32_t job, uint32_t uid)
{
	char note[PATH_MAX];
	int length =
	    snprintf(note, sizeof(note), "%s/" DIRECTORY "/%u.%u", run_directory, job, uid);

	if (length > 0 && (size_t)length < sizeof(note))
		(void)unlink(note);
}
