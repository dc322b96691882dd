/* What is known without the launcher, and which commands are sftp. */
#include "check.h"
#include "node.h"
#include "sftp.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_job_ids(void)
{
	CHECK(lc_job_of("42") == 42);
	CHECK(lc_job_of("4294967294") == 4294967294U);
	CHECK(lc_job_of(NULL) == 0 && lc_job_of("") == 0 && lc_job_of("0") == 0);
	CHECK(lc_job_of("-1") == 0 && lc_job_of(" 1") == 0 && lc_job_of("42x") == 0);
	CHECK(lc_job_of("4294967295") == 0 && lc_job_of("99999999999999999999") == 0);
}

static void test_markers(void)
{
	char run[] = "/tmp/layercake-test.XXXXXX", path[128], contained[64];

	if (!CHECK(mkdtemp(run) != NULL))
		return;
	CHECK(!lc_has_container(run, 42, 1001)); /* the launcher never ran */
	CHECK(!lc_has_container(run, 0, 1001));
	snprintf(contained, sizeof(contained), "%s/contained", run);
	snprintf(path, sizeof(path), "%s/42.1001", contained);
	mkdir(contained, 0711);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0444));
	CHECK(lc_has_container(run, 42, 1001));
	CHECK(!lc_has_container(run, 42, 100) && !lc_has_container(run, 4, 1001));
	CHECK(!lc_has_container(run, 42, 1002) && !lc_has_container(run, 421, 1001));
	CHECK(lc_has_container(run, 0, 1001));
	CHECK(!lc_has_container(run, 0, 1) && !lc_has_container(run, 0, 1002));
	unlink(path);
	rmdir(contained);
	/* What cannot be told is not the host's. */
	close(open(contained, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	CHECK(lc_has_container(run, 42, 1001) && lc_has_container(run, 0, 1001));
	unlink(contained);
	rmdir(run);
}

static void test_socket_path(void)
{
	char path[32];

	CHECK(strcmp(lc_socket_path("/run/x", path, sizeof(path)), "/run/x/launcher.sock") == 0);
	CHECK(lc_socket_path("/run/a-rather-long-name", path, sizeof(path)) == NULL);
}

static void test_sftp(void)
{
	CHECK(lc_is_sftp("internal-sftp"));
	CHECK(lc_is_sftp("internal-sftp -l INFO"));
	CHECK(lc_is_sftp("/usr/lib/openssh/sftp-server"));
	CHECK(lc_is_sftp("/usr/libexec/openssh/sftp-server\t-u 022"));
	CHECK(!lc_is_sftp("") && !lc_is_sftp("internal-sftpx") && !lc_is_sftp("internal"));
	CHECK(!lc_is_sftp("/home/alice/sftp-server") && !lc_is_sftp("echo internal-sftp"));
	CHECK(!lc_is_sftp("/usr/lib/openssh/sftp-server;id"));
}

int main(void)
{
	test_job_ids();
	test_markers();
	test_socket_path();
	test_sftp();
	return summary();
}
