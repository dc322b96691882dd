/*
 * What pam_exec(8) runs as root behind pam_slurm_adopt: has the job's container made ready while
 * sshd is still busy, and refuses whom ssh-entry would have to refuse, where the reason is shown
 * best.
 *
 *   pam-hook [RUN_DIRECTORY]
 */
#define _GNU_SOURCE
#include "node.h"
#include "shared/ask.h"
#include "shared/note.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { START_MILLIS = 3000 };

int main(int argc, char **argv)
{
	const char *run_directory = argc > 1 ? argv[1] : LC_RUN_DIRECTORY;
	const char *name = getenv("PAM_USER"), *type = getenv("PAM_TYPE");
	const struct passwd *user = name != NULL ? getpwnam(name) : NULL;
	uint32_t job = lc_session_job();
	struct lc_frames request;
	struct lc_error error;
	char path[256];

	/* Who is no user, or is root, is not ours to judge. */
	if (user == NULL || user->pw_uid == 0 ||
	    (type != NULL && strcmp(type, "close_session") == 0))
		return 0;
	if (lc_socket_path(run_directory, path, sizeof(path)) == NULL)
		return 0; /* ssh-entry says it */
	if (lc_find_note(run_directory, job, user->pw_uid) == LC_NO_NOTE)
		return 0;
	lc_frames_start(&request, job, user->pw_uid);
	if (lc_tell(path, &request, true, START_MILLIS, &error) == 0 ||
	    error.code != EXIT_UNAVAILABLE)
		return 0; /* ssh-entry will say what is wrong */
	printf("layercake: %s\n", error.text);
	return 1;
}
