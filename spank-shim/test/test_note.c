/* What a prolog leaves, and what others see of it. */
#include "shared/note.h"
#include "shared/test/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char run[] = "/tmp/layercake-test.XXXXXX", contained[64], path[128];

static void test_no_notes(void)
{
	/* No launcher ever ran here. */
	CHECK(lc_find_note(run, 42, 1001) == LC_NO_NOTE);
	CHECK(lc_find_note(run, 0, 1001) == LC_NO_NOTE);
}

static void test_a_note_is_of_one_job_and_user(void)
{
	char text[32] = "";

	CHECK(lc_leave_note(run, 42, 1001, "image=deb:12") == 0);
	CHECK(lc_find_note(run, 42, 1001) == LC_NOTE_OF_JOB);
	CHECK(lc_find_note(run, 42, 100) == LC_NO_NOTE && lc_find_note(run, 4, 1001) == LC_NO_NOTE);
	CHECK(lc_find_note(run, 42, 1002) == LC_NO_NOTE &&
	      lc_find_note(run, 421, 1001) == LC_NO_NOTE);
	CHECK(lc_find_note(run, 0, 1001) != LC_NO_NOTE);
	CHECK(lc_find_note(run, 0, 1) == LC_NO_NOTE && lc_find_note(run, 0, 1002) == LC_NO_NOTE);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(read(fd, text, sizeof(text)) == 12 && strncmp(text, "image=deb:12", 12) == 0);
	close(fd);
}

static void test_a_requeued_job_replaces_its_note(void)
{
	struct stat status;

	CHECK(lc_leave_note(run, 42, 1001, "image=other") == 0);
	CHECK(stat(path, &status) == 0 && status.st_size == 11 && (status.st_mode & 07777) == 0400);
	unlink(path);
}

static void test_an_empty_note_is_of_steps(void)
{
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0444));
	CHECK(lc_find_note(run, 42, 1001) == LC_NOTE_OF_STEPS);
	unlink(path);
}

static void test_a_note_that_cannot_be_written_leaves_nothing(void)
{
	const struct rlimit none = {0, RLIM_INFINITY};
	struct rlimit before;
	char staged[128];

	snprintf(staged, sizeof(staged), "%s/.42", contained);
	getrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, SIG_IGN); /* a write fails with EFBIG then, as on a full disk with ENOSPC */
	setrlimit(RLIMIT_FSIZE, &none);
	CHECK(lc_leave_note(run, 42, 1001, "image=deb:12") < 0 && errno == EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	CHECK(access(staged, F_OK) < 0 && access(path, F_OK) < 0);
}

static void test_a_note_that_is_being_written_is_nobodys(void)
{
	char staged[128];

	snprintf(staged, sizeof(staged), "%s/.1001", contained);
	close(open(staged, O_CREAT | O_WRONLY | O_CLOEXEC, 0400));
	CHECK(lc_find_note(run, 0, 1001) == LC_NO_NOTE);
	unlink(staged);
}

static void test_what_cannot_be_told_is_said_to_be_so(void)
{
	char deep[5000];

	rmdir(contained);
	close(open(contained, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	CHECK(lc_find_note(run, 42, 1001) == LC_NOTE_UNKNOWN && errno == ENOTDIR);
	CHECK(lc_find_note(run, 0, 1001) == LC_NOTE_UNKNOWN);
	CHECK(lc_leave_note(run, 42, 1001, "image=deb:12") < 0);
	unlink(contained);
	memset(deep, 'a', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	CHECK(lc_find_note(deep, 42, 1001) == LC_NOTE_UNKNOWN && errno == ENAMETOOLONG);
	CHECK(lc_leave_note(deep, 42, 1001, "image=deb:12") < 0 && errno == ENAMETOOLONG);
}

int main(void)
{
	if (!CHECK(mkdtemp(run) != NULL))
		return summary();
	snprintf(contained, sizeof(contained), "%s/contained", run);
	snprintf(path, sizeof(path), "%s/42.1001", contained);
	test_no_notes();
	test_a_note_is_of_one_job_and_user();
	test_a_requeued_job_replaces_its_note();
	test_an_empty_note_is_of_steps();
	test_a_note_that_cannot_be_written_leaves_nothing();
	test_a_note_that_is_being_written_is_nobodys();
	test_what_cannot_be_told_is_said_to_be_so();
	rmdir(run);
	return summary();
}
