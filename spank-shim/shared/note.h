/*
 * What is known of a node's containers without the launcher: a note for each job that has one,
 * RUN_DIRECTORY/contained/JOB.UID. It holds the spec that the job was announced with, or nothing
 * when only steps of the job have containers. Only root may list or read them, but everybody may
 * look whether there is one, and how long it is.
 */
#ifndef LAYERCAKE_NOTE_H
#define LAYERCAKE_NOTE_H

#include <stdint.h>

enum lc_note {
	LC_NO_NOTE,
	LC_NOTE_OF_STEPS,
	LC_NOTE_OF_JOB,
	LC_NOTE_UNKNOWN, /* it cannot be told whether there is one; errno says why */
};

/* Job 0, for root only: whether any job of the user has a note. */
enum lc_note lc_find_note(const char *run_directory, uint32_t job, uint32_t uid);

/*
 * For the job's prolog: so a launcher that does not run now hears of the job later, and until then
 * nobody takes the job for one without container. The launcher removes the note with the job.
 * Returns 0, or -1 with errno.
 */
int lc_leave_note(const char *run_directory, uint32_t job, uint32_t uid, const char *spec);

/* For the epilog of a job that the launcher could not be told of. */
void lc_remove_note(const char *run_directory, uint32_t job, uint32_t uid);

#endif
