/* What an image's look-up comes to, however the command that is asked behaves. */
#define _GNU_SOURCE
#include "lookup.h"
#include "shared/connection.h"
#include "shared/test/check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONG_MILLIS = 60000, SHORT_MILLIS = 300 };

static char directory[] = "/tmp/layercake-test.XXXXXX", command[64];
static struct lc_error error;
static struct lc_question question = {.words = {NULL, "inspect", "--", "deb:12"},
				      .act = "look up image \"deb:12\""};

/* Looks "deb:12" up by a command that is these lines of sh. */
static enum lc_answer look_up(const char *lines, int timeout_millis)
{
	FILE *script = fopen(command, "w");

	if (script == NULL || fprintf(script, "#!/bin/sh\n%s\n", lines) < 0 ||
	    fclose(script) != 0 || chmod(command, 0755) < 0)
		return (enum lc_answer) - 1;
	memset(&error, 0, sizeof(error));
	question.words[0] = command;
	return lc_look_up(&question, timeout_millis, &error);
}

static void test_answers(void)
{
	CHECK(look_up("exit 0", LONG_MILLIS) == LC_NOTHING_WRONG);
	CHECK(look_up("[ \"$*\" = 'inspect -- deb:12' ]", LONG_MILLIS) == LC_NOTHING_WRONG);
	CHECK(look_up("echo 'layercake: cannot read it' >&2; exit 77", LONG_MILLIS) ==
	      LC_NOTHING_WRONG);
	CHECK(look_up("echo 'layercake: cannot find it' >&2; exit 66", LONG_MILLIS) == LC_REFUSED);
	CHECK(error.code == 66 && strcmp(error.text, "cannot find it") == 0);
	CHECK(look_up("echo 'layercake: no name' >&2; exit 64", LONG_MILLIS) == LC_REFUSED);
	CHECK(error.code == 64);
	CHECK(look_up("echo 'layercake: no monitor' >&2; exit 75", LONG_MILLIS) == LC_NO_ANSWER);
	CHECK(strcmp(error.text, "cannot look up image \"deb:12\": no monitor") == 0);
}

static void test_what_the_rules_refuse(void)
{
	question.of_rules = true;
	CHECK(look_up("echo 'layercake: rule 3' >&2; exit 77", LONG_MILLIS) == LC_REFUSED);
	CHECK(error.code == 77 && strcmp(error.text, "rule 3") == 0);
	question.of_rules = false;
}

static void test_what_else_is_said(void)
{
	CHECK(look_up("echo out; echo 'warning: layercake: x'; echo warning >&2;"
		      "echo 'layercake: cannot find it' >&2; echo more >&2; exit 66",
		      LONG_MILLIS) == LC_REFUSED);
	CHECK(strcmp(error.text, "cannot find it") == 0);
	CHECK(look_up("exit 1", LONG_MILLIS) == LC_NO_ANSWER);
	CHECK(strstr(error.text, "it said nothing") != NULL);
	CHECK(look_up("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 66", LONG_MILLIS) ==
	      LC_REFUSED);
	CHECK(strlen(error.text) > 1000);
}

static void test_a_command_that_is_missing_or_dies(void)
{
	question.words[0] = "/nonexistent/layercake";
	CHECK(lc_look_up(&question, LONG_MILLIS, &error) == LC_NO_ANSWER);
	CHECK(strstr(error.text, "/nonexistent/layercake: No such file") != NULL);
	CHECK(look_up("kill -KILL $$", LONG_MILLIS) == LC_NO_ANSWER);
}

static void test_the_time(void)
{
	int64_t begun = lc_now_millis();

	CHECK(look_up("exec sleep 60", SHORT_MILLIS) == LC_NO_ANSWER);
	CHECK(strstr(error.text, "no answer within") != NULL);
	CHECK(look_up("exec sleep 60 2>&-", SHORT_MILLIS) == LC_NO_ANSWER);
	CHECK(lc_now_millis() - begun < 30000);
	CHECK(waitpid(-1, NULL, 0) < 0); /* nothing is left */
}

static void test_what_the_command_gets(void)
{
	int fd = open("/dev/null", O_RDONLY);

	setenv("LAYERCAKE_CONFIG", "/c", 1);
	setenv("JDK_JAVA_OPTIONS", "-Xmx1k", 1);
	CHECK(look_up("[ \"$LAYERCAKE_CONFIG $HOME\" = \"/c /h\" ] && [ -n \"$PATH\" ]",
		      LONG_MILLIS) == LC_NOTHING_WRONG);
	CHECK(look_up("[ -z \"$JDK_JAVA_OPTIONS\" ]", LONG_MILLIS) == LC_NOTHING_WRONG);
	CHECK(dup2(fd, 50) == 50);
	CHECK(look_up("[ ! -e /proc/$$/fd/50 ]", LONG_MILLIS) == LC_NOTHING_WRONG);
	close(50);
	close(fd);
}

/* As the command's caller may have made it. */
static void test_an_odd_caller(void)
{
	const char *refusing = "echo 'layercake: cannot find it' >&2; exit 66";
	int kept = dup(STDERR_FILENO);

	signal(SIGCHLD, SIG_IGN);
	CHECK(look_up(refusing, LONG_MILLIS) == LC_REFUSED);
	CHECK(signal(SIGCHLD, SIG_DFL) == SIG_IGN);
	close(STDIN_FILENO);
	close(STDERR_FILENO);
	CHECK(look_up(refusing, LONG_MILLIS) == LC_REFUSED);
	CHECK(strcmp(error.text, "cannot find it") == 0);
	dup2(kept, STDERR_FILENO);
	close(kept);
}

int main(void)
{
	if (mkdtemp(directory) == NULL)
		return 1;
	snprintf(command, sizeof(command), "%s/layercake", directory);
	setenv("HOME", "/h", 1);
	test_answers();
	test_what_the_rules_refuse();
	test_what_else_is_said();
	test_a_command_that_is_missing_or_dies();
	test_the_time();
	test_what_the_command_gets();
	test_an_odd_caller();
	unlink(command);
	rmdir(directory);
	return summary();
}
