/* What is known without the launcher, and how files are transferred. */
#include "node.h"
#include "shared/test/check.h"
#include "transfer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void gives_job(const char *cgroups, uint32_t job)
{
	FILE *file = fmemopen((void *)(uintptr_t)cgroups, strlen(cgroups), "r");

	CHECK(file != NULL && lc_job_of_cgroups(file) == job);
	if (file != NULL)
		fclose(file);
}

static void test_jobs_of_cgroups(void)
{
	gives_job("9:pids:/\n3:cpuset:/slurm_n1/uid_1001/job_42/step_extern\n", 42);
	gives_job("0::/system.slice/slurmstepd.scope/job_42/step_extern/user/task_special\n", 42);
	gives_job("0::/user.slice\n", 0);
	gives_job("0::/slurmstepd.scope/s7DSM8BR8ASJ00/step_extern/user/task_special\n", 0);
	gives_job("0::/job_4294967294/step_extern\n", 4294967294U);
	gives_job("0::/job_4294967295/step_extern\n", 0);
	gives_job("0::/job_99999999999999999999/step_extern\n", 0);
	gives_job("0::/job_0/x\n1::/job_-1/x\n2::/job_ 1/x\n3::/job_42x/x\n", 0);
	setenv("SLURM_JOB_ID", "42", 1);
	CHECK(lc_session_job() == 0);
	gives_job("0::/job_x/\n1::/job_/\n2::/job_12\n3::/myjob_12/x\n", 0);
}

static void test_what_is_a_transfer(void)
{
	CHECK(lc_transfer_of("internal-sftp") == LC_SFTP);
	CHECK(lc_transfer_of("internal-sftp -l INFO") == LC_SFTP);
	CHECK(lc_transfer_of("/usr/lib/openssh/sftp-server") == LC_SFTP);
	CHECK(lc_transfer_of("/usr/libexec/openssh/sftp-server\t-u 022") == LC_SFTP);
	CHECK(lc_transfer_of("scp -t .") == LC_SCP);
	CHECK(lc_transfer_of("rsync --server .") == LC_RSYNC);
	CHECK(lc_transfer_of("") == LC_NO_TRANSFER);
	CHECK(lc_transfer_of("internal-sftpx") == LC_NO_TRANSFER);
	CHECK(lc_transfer_of("/home/alice/sftp-server") == LC_NO_TRANSFER);
	CHECK(lc_transfer_of("echo scp") == LC_NO_TRANSFER);
	CHECK(lc_transfer_of("scp;id") == LC_NO_TRANSFER);
}

static void test_scripts(void)
{
	struct lc_transfer host = lc_transfer_open(LC_SCP);
	char script[4096], small[16];
	const char *command = "scp -t 'a b'";

	setenv("PATH", "/nowhere:/usr/bin", 1);
	CHECK(lc_transfer_script(&host, LC_SCP, command, script, sizeof(script)) == command);
	setenv("PATH", "/nowhere", 1);
	CHECK(lc_transfer_script(&host, LC_SCP, command, small, sizeof(small)) == NULL);
	if (!CHECK(lc_transfer_script(&host, LC_SCP, command, script, sizeof(script)) == script))
		return;
	CHECK(strncmp(script, "scp() { exec /proc/self/fd/", 27) == 0);
	CHECK(strstr(script, "\nscp -t 'a b'") != NULL);
	/* It runs: scp refuses what is no option in its own words. */
	strcpy(strstr(script, "\nscp"), "\nscp -? 2>&1");
	FILE *output = popen(script, "r");
	char line[128] = "";
	CHECK(output != NULL && fgets(line, sizeof(line), output) != NULL);
	CHECK(strstr(line, "option") != NULL);
	if (output != NULL)
		pclose(output);
	CHECK(lc_transfer_script(&LC_TRANSFER_NONE, LC_SCP, command, script, sizeof(script)) ==
	      command);
}

/* As where there is neither the program nor a shell. */
static void test_shell(void)
{
	struct lc_transfer host = lc_transfer_open(LC_SCP);
	char script[4096], line[128] = "";
	int output[2];

	setenv("PATH", "/nowhere", 1);
	lc_transfer_script(&host, LC_SCP, "scp -? 'a  b' 2>&1", script, sizeof(script));
	if (!CHECK(pipe(output) == 0))
		return;
	pid_t child = fork();
	if (child == 0) {
		dup2(output[1], STDOUT_FILENO);
		lc_transfer_shell_exec(&host, script);
		_exit(100);
	}
	close(output[1]);
	CHECK(read(output[0], line, sizeof(line) - 1) > 0);
	CHECK(strstr(line, "option") != NULL);
	CHECK(waitpid(child, NULL, 0) == child);
	close(output[0]);
	lc_transfer_shell_exec(&LC_TRANSFER_NONE, script);
	CHECK(errno == ENOENT);
}

int main(void)
{
	test_jobs_of_cgroups();
	test_what_is_a_transfer();
	test_scripts();
	test_shell();
	return summary();
}
