#define _GNU_SOURCE
#include "lookup.h"
#include "shared/connection.h"
#include "shared/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MILLIS = 2 };

#define PREFIX "layercake: "

/* What the command needs to find Java and the store; all else may lead it elsewhere. */
static const char *const kept[] = {"PATH=", "HOME=", "LAYERCAKE_CONFIG="};

struct lookup {
	pid_t pid;
	int said; /* what the command writes to stderr */
	int64_t deadline_millis;
	char text[2000];
	size_t length;
};

static void pick_environment(char *picked[sizeof(kept) / sizeof(kept[0]) + 1])
{
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
			if (strncmp(*entry, kept[i], strlen(kept[i])) == 0) {
				*picked++ = *entry;
				break;
			}
	*picked = NULL;
}

/* Any of the first three descriptors may have been closed by whoever called the command. */
static void arrange_descriptors(int said)
{
	int null = open("/dev/null", O_RDWR);

	said = fcntl(said, F_DUPFD, STDERR_FILENO + 1);
	if (null < 0 || said < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(said, STDERR_FILENO) < 0 || lc_close_from(STDERR_FILENO + 1) < 0)
		_exit(EXIT_INTERNAL);
}

_Noreturn static void become(const char *const *words, int said, pid_t parent)
{
	char *environment[sizeof(kept) / sizeof(kept[0]) + 1];
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_INTERNAL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	arrange_descriptors(said);
	pick_environment(environment);
	execve(words[0], (char *const *)words, environment);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", words[0], strerror(errno));
	_exit(EXIT_NOT_FOUND);
}

static int start(struct lookup *lookup, const char *const *words)
{
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	lookup->pid = fork();
	if (lookup->pid == 0)
		become(words, ends[1], parent);
	close(ends[1]);
	lookup->said = ends[0];
	if (lookup->pid > 0)
		return 0;
	close(ends[0]);
	return -1;
}

static int left_millis(const struct lookup *lookup)
{
	int64_t left = lookup->deadline_millis - lc_now_millis();

	return left > 0 ? (int)left : 0;
}

/* Until the command has closed its stderr, which is as a rule when it ends, or the time is over. */
static void read_said(struct lookup *lookup)
{
	struct pollfd readable = {.fd = lookup->said, .events = POLLIN};
	char chunk[512];

	for (;;) {
		int ready = poll(&readable, 1, left_millis(lookup));
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return;
		ssize_t n = read(lookup->said, chunk, sizeof(chunk));
		if (n <= 0)
			return;
		for (ssize_t i = 0; i < n && lookup->length < sizeof(lookup->text) - 1; i++)
			lookup->text[lookup->length++] = chunk[i];
	}
}

/* Returns the exit code of the command, or -1 when it did not come to one in time. */
static int end(const struct lookup *lookup)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MILLIS * 1000000};
	int status;
	pid_t ended;

	while ((ended = waitpid(lookup->pid, &status, WNOHANG)) == 0 && left_millis(lookup) > 0)
		nanosleep(&pause, NULL);
	if (ended == 0) {
		kill(lookup->pid, SIGKILL);
		while (waitpid(lookup->pid, &status, 0) < 0 && errno == EINTR)
			;
		return -1;
	}
	return ended == lookup->pid && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_INTERNAL;
}

/* The line of the command; a JVM may have written others before it. */
static const char *pick_line(char *text)
{
	char *line = strstr(text, PREFIX);

	if (line != NULL && (line == text || line[-1] == '\n'))
		line += strlen(PREFIX);
	else
		line = text;
	line[strcspn(line, "\n")] = '\0';
	return line[0] != '\0' ? line : "it said nothing";
}

static enum lc_answer judge(int code, const char *line, const struct lc_question *question,
			    int timeout_millis, struct lc_error *error)
{
	/* Else the user's key does not read what the launcher's does. */
	if (code == 0 || (code == EXIT_PERMISSION && !question->of_rules))
		return LC_NOTHING_WRONG;
	if (code == EXIT_MISSING || code == EXIT_REQUEST || code == EXIT_PERMISSION) {
		lc_fail(error, code, "%s", line);
		return LC_REFUSED;
	}
	if (code < 0)
		lc_fail(error, EXIT_TEMPORARY, "cannot %s: no answer within %d s", question->act,
			timeout_millis / 1000);
	else
		lc_fail(error, code, "cannot %s: %s", question->act, line);
	return LC_NO_ANSWER;
}

enum lc_answer lc_look_up(const struct lc_question *question, int timeout_millis,
			  struct lc_error *error)
{
	struct lookup lookup = {.deadline_millis = lc_now_millis() + timeout_millis};
	struct sigaction waited_for = {.sa_handler = SIG_DFL}, before;
	enum lc_answer answer = LC_NO_ANSWER;

	/* Where SIGCHLD is ignored, nobody hears how a child has ended, waitpid(2). */
	sigaction(SIGCHLD, &waited_for, &before);
	if (start(&lookup, question->words) < 0) {
		lc_fail(error, EXIT_INTERNAL, "cannot %s: %s", question->act, strerror(errno));
	} else {
		read_said(&lookup);
		int code = end(&lookup);
		close(lookup.said);
		answer = judge(code, pick_line(lookup.text), question, timeout_millis, error);
	}
	sigaction(SIGCHLD, &before, NULL);
	return answer;
}
