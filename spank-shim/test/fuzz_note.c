/*
 * The folder of notes, with whatever names are in it: a note is found by its job and user and by
 * nothing else. An input is a job, a user, the text of a note, and names.
 */
#define _GNU_SOURCE
#include "shared/note.h"
#include "shared/test/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_MAX = 8 };

static char run[] = "/tmp/layercake-fuzz.XXXXXX", notes[64];

static void remove_run(void)
{
	rmdir(notes);
	rmdir(run);
}

static void make_run(void)
{
	INSIST(mkdtemp(run) != NULL);
	snprintf(notes, sizeof(notes), "%s/contained", run);
	INSIST(mkdir(notes, 0700) == 0);
	atexit(remove_run);
}

/* As the header says it: JOB.USER, of which any job is one; names with a dot first are staged. */
static bool is_note_of(const char *name, uint32_t uid)
{
	char number[16];
	const char *dot = strrchr(name, '.');

	snprintf(number, sizeof(number), "%u", uid);
	return dot != NULL && dot > name && strcmp(dot + 1, number) == 0;
}

static bool make_file(int folder, const char *name)
{
	int fd = name[0] == '\0' || strchr(name, '/') != NULL
		     ? -1
		     : openat(folder, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0400);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Returns whether one of those that were made is a note of the user's. */
static bool make_files(struct input *input, int folder, char **names, size_t *count, uint32_t uid)
{
	bool is_any = false;

	for (*count = 0; input->left > 0 && *count < NAMES_MAX;) {
		char *name = take_text(input);
		if (make_file(folder, name)) {
			names[(*count)++] = name;
			is_any |= is_note_of(name, uid);
		} else {
			free(name);
		}
	}
	return is_any;
}

static void check_own_note(uint32_t job, uint32_t uid, const char *spec)
{
	char path[128];
	struct stat status;

	if (lc_leave_note(run, job, uid, spec) < 0)
		return; /* a folder or file of that name */
	snprintf(path, sizeof(path), "%s/%u.%u", notes, job, uid);
	INSIST(stat(path, &status) == 0 && (size_t)status.st_size == strlen(spec));
	if (job != 0)
		INSIST(lc_find_note(run, job, uid) ==
		       (spec[0] != '\0' ? LC_NOTE_OF_JOB : LC_NOTE_OF_STEPS));
	INSIST(lc_find_note(run, 0, uid) == LC_NOTE_OF_STEPS);
	lc_remove_note(run, job, uid);
	INSIST(stat(path, &status) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {.at = data, .left = size};
	uint32_t job = take_number(&input, 4), uid = take_number(&input, 4);
	char *spec = take_text(&input), *names[NAMES_MAX];
	size_t count;

	if (notes[0] == '\0')
		make_run();
	int folder = open(notes, O_PATH | O_DIRECTORY | O_CLOEXEC);
	INSIST(folder >= 0);
	bool is_any = make_files(&input, folder, names, &count, uid);
	INSIST(lc_find_note(run, 0, uid) == (is_any ? LC_NOTE_OF_STEPS : LC_NO_NOTE));
	check_own_note(job, uid, spec);
	for (size_t i = 0; i < count; i++) {
		unlinkat(folder, names[i], 0);
		free(names[i]);
	}
	close(folder);
	free(spec);
	return 0;
}
