/*
 * What clients hear of launchers that answer, answer nonsense, are silent or come back. Argument:
 * the directory with the worked examples of docs/protocol.md.
 */
#define _GNU_SOURCE
#include "shared/ask.h"
#include "shared/test/check.h"
#include "vectors.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- a launcher for one connection --- */

static char socket_path[64];

static int listen_for_one(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, socket_path);
	unlink(socket_path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 8) < 0) {
		perror("bind");
		exit(1);
	}
	return listener;
}

/* Closes the next connection, and answers the one after it, in a child. */
static pid_t answer_after_restart(const void *bytes, size_t size)
{
	int listener = listen_for_one();
	char request[LC_SPEC_MAX + 64];
	pid_t child = fork();

	if (child == 0) {
		close(accept(listener, NULL, NULL));
		int fd = accept(listener, NULL, NULL);
		_exit(read(fd, request, sizeof(request)) < 7 ||
		      write(fd, bytes, size) != (ssize_t)size);
	}
	close(listener);
	return child;
}

/* Answers the next connection with these bytes and descriptors, in a child. */
static pid_t answer(const void *bytes, size_t size, const int *fds, size_t fd_count, bool hang)
{
	int listener = listen_for_one();
	pid_t child = fork();
	if (child != 0) {
		close(listener);
		return child;
	}
	char request[LC_SPEC_MAX + 64], control[CMSG_SPACE(8 * sizeof(int))] = {0};
	int fd = accept(listener, NULL, NULL);
	if (read(fd, request, sizeof(request)) < 7)
		_exit(1);
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (fd_count > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
	}
	if (size > 0 && sendmsg(fd, &message, 0) < 0)
		_exit(1);
	if (hang)
		sleep(20);
	_exit(0);
}

static void finish(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	unlink(socket_path);
}

static char heard[256];

static void hear(const char *line, void *context)
{
	(void)context;
	strncat(heard, line, sizeof(heard) - strlen(heard) - 2);
	strcat(heard, "|");
}

static int enter(struct lc_container *container, struct lc_error *error)
{
	heard[0] = '\0';
	return lc_ask_to_enter(socket_path, 42, 0, "image=deb:12", hear, NULL, container, error);
}

/* As who does not wait for a launcher that is gone. */
static int join(struct lc_container *container, struct lc_error *error)
{
	return lc_ask_for_session(socket_path, 42, false, hear, NULL, container, error);
}

static int count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_entering(void)
{
	uint8_t bytes[4096];
	int fds[4], before;
	struct stat sent, received;
	struct lc_container container;
	struct lc_error error;
	static const char progress[] = "\0\0\0\x03\x41\0\0\0\0\0\x08\x41\0\5fetch";

	for (int i = 0; i < 4; i++)
		fds[i] = open(i % 2 == 0 ? "/dev/null" : "/dev/zero", O_RDONLY | O_CLOEXEC);
	memcpy(bytes, progress, sizeof(progress) - 1);
	size_t size = sizeof(progress) - 1 + read_vector("entered", bytes + sizeof(progress) - 1);
	before = count_fds();

	pid_t child = answer(bytes, size, fds, 2, false);
	if (CHECK(enter(&container, &error) == 0)) {
		CHECK(strcmp(heard, "fetch|") == 0);
		fstat(fds[0], &sent);
		fstat(container.user_namespace, &received);
		CHECK(sent.st_rdev == received.st_rdev);
		fstat(fds[1], &sent);
		fstat(container.mount_namespace, &received);
		CHECK(sent.st_rdev == received.st_rdev);
		CHECK(fcntl(container.mount_namespace, F_GETFD) == FD_CLOEXEC);
		CHECK(strcmp(container.environment[1], "PATH=/bin") == 0);
		lc_container_clear(&container);
	}
	finish(child);
	for (size_t count = 0; count <= 4; count++) { /* 0, 1, 3 or 4 instead of two */
		if (count == 2)
			continue;
		child = answer(bytes, size, fds, count, false);
		CHECK(enter(&container, &error) < 0 && error.code == EXIT_INTERNAL);
		finish(child);
	}
	CHECK(count_fds() == before);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

static void answered(const char *bytes, size_t size, int code, const char *part)
{
	struct lc_container container;
	struct lc_error error = {0};
	pid_t child = answer(bytes, size, NULL, 0, false);

	if (!CHECK(join(&container, &error) < 0 && error.code == code &&
		   strstr(error.text, part) != NULL))
		printf("  code %d, %s\n", error.code, error.text);
	finish(child);
}

static void test_bad_answers(void)
{
	answered("\0\0\0\x0c\x4f\x42\0\x08no image", 16, 66, "no image");
	answered("", 0, EXIT_UNAVAILABLE, "the launcher on");
	answered("\0\0\0", 3, EXIT_UNAVAILABLE, "the launcher on");
	answered("\0\0\0\0\x40", 5, EXIT_INTERNAL, "malformed");
	answered("\0\1\0\1\x40", 5, EXIT_INTERNAL, "malformed");
	answered("\xff\xff\xff\xff\x40", 5, EXIT_INTERNAL, "malformed");
	answered("\0\0\0\1\x40", 5, EXIT_INTERNAL, "malformed");
	answered("\0\0\0\1\x99", 5, EXIT_INTERNAL, "malformed");
	answered("\0\0\0\4\x41\0\2x", 8, EXIT_INTERNAL, "malformed");
	answered("\0\0\0\5\x41\0\1xy", 9, EXIT_INTERNAL, "malformed");
}

static void test_sessions(void)
{
	uint8_t bytes[64];
	struct lc_container container;
	struct lc_error error;
	size_t size = read_vector("host", bytes);
	pid_t child = answer(bytes, size, NULL, 0, false);

	CHECK(join(&container, &error) == 1);
	finish(child);
	child = answer(bytes, size, NULL, 0, false);
	CHECK(enter(&container, &error) < 0 && error.code == EXIT_INTERNAL); /* not for steps */
	finish(child);
	child = answer("\0\0\0\2\x43\0", 6, NULL, 0, false);
	CHECK(join(&container, &error) < 0);
	CHECK(error.code == EXIT_INTERNAL);
	finish(child);
	CHECK(join(&container, &error) < 0);
	CHECK(error.code == EXIT_UNAVAILABLE);
}

static void test_a_restarted_launcher_is_asked_anew(void)
{
	static const char busy[] = "\0\0\0\x08\x41\0\5fetch";
	uint8_t bytes[4096];
	int fds[2] = {open("/dev/null", O_RDONLY | O_CLOEXEC),
		      open("/dev/zero", O_RDONLY | O_CLOEXEC)};
	size_t size = read_vector("entered", bytes);
	struct lc_container container;
	struct lc_error error;
	pid_t first = answer(busy, sizeof(busy) - 1, NULL, 0, false);
	pid_t second = fork();

	if (second == 0) {
		usleep(300000);
		waitpid(answer(bytes, size, fds, 2, false), NULL, 0);
		_exit(0);
	}
	if (CHECK(enter(&container, &error) == 0))
		lc_container_clear(&container);
	CHECK(strcmp(heard, "fetch|") == 0);
	waitpid(second, NULL, 0);
	finish(first);
	close(fds[0]);
	close(fds[1]);
}

/* A stopping launcher closes its connections; systemd's socket holds those that come then. */
static void test_nobody_notices_a_graceful_restart(void)
{
	uint8_t bytes[64];
	size_t size = read_vector("host", bytes);
	struct lc_frames frames;
	struct lc_container container;
	struct lc_error error;

	lc_frames_release(&frames, 42);
	pid_t child = answer_after_restart("\0\0\0\1\x40", 5);
	CHECK(lc_tell(socket_path, &frames, false, 2000, &error) == 0);
	finish(child);
	child = answer_after_restart(bytes, size);
	CHECK(join(&container, &error) == 1); /* the impatient, too */
	finish(child);
}

static int heard_something[2];

static void hear_and_tell(const char *line, void *context)
{
	hear(line, context);
	CHECK(write(heard_something[1], "", 1) == 1);
}

/* As with systemd's socket while the launcher starts. */
static void test_the_user_hears_of_a_launcher_that_does_not_answer_yet(void)
{
	uint8_t bytes[64];
	size_t size = read_vector("host", bytes);
	struct lc_container container;
	struct lc_error error;
	char byte;

	CHECK(pipe(heard_something) == 0);
	int listener = listen_for_one();
	pid_t child = fork();
	if (child == 0) {
		int fd = accept(listener, NULL, NULL);
		_exit(read(heard_something[0], &byte, 1) != 1 ||
		      write(fd, bytes, size) != (ssize_t)size);
	}
	close(listener);
	heard[0] = '\0';
	CHECK(lc_ask_for_session(socket_path, 42, true, hear_and_tell, NULL, &container, &error) ==
	      1);
	CHECK(strstr(heard, "which does not answer yet") != NULL);
	finish(child);
	close(heard_something[0]);
	close(heard_something[1]);
}

static void test_telling(void)
{
	struct lc_frames frames;
	struct lc_error error;

	lc_frames_release(&frames, 42);
	pid_t child = answer("\0\0\0\1\x40", 5, NULL, 0, false);
	CHECK(lc_tell(socket_path, &frames, false, 2000, &error) == 0);
	finish(child);
	child = answer("\0\0\0\x0c\x4f\x42\0\x08no image", 16, NULL, 0, false);
	CHECK(lc_tell(socket_path, &frames, false, 2000, &error) < 0 && error.code == 66);
	finish(child);
	child = answer("\0\0\0\2\x40\0", 6, NULL, 0, false);
	CHECK(lc_tell(socket_path, &frames, false, 2000, &error) < 0 &&
	      error.code == EXIT_INTERNAL);
	finish(child);
	child = answer("", 0, NULL, 0, true);
	CHECK(lc_tell(socket_path, &frames, false, 200, &error) < 0);
	CHECK(error.code == EXIT_UNAVAILABLE && strstr(error.text, "does not answer") != NULL);
	finish(child);
	CHECK(lc_tell(socket_path, &frames, false, 200, &error) < 0);
	CHECK(error.code == EXIT_UNAVAILABLE && strstr(error.text, "is not running") != NULL);
	char path[300];
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	CHECK(lc_tell(path, &frames, false, 200, &error) < 0 && error.code == EXIT_MISCONFIGURED);
}

static void test_socket_path(void)
{
	char path[32];

	CHECK(strcmp(lc_socket_path("/run/x", path, sizeof(path)), "/run/x/launcher.sock") == 0);
	CHECK(lc_socket_path("/run/a-rather-long-name", path, sizeof(path)) == NULL);
}

int main(int argc, char **argv)
{
	vectors = argc > 1 ? argv[1] : ".";
	snprintf(socket_path, sizeof(socket_path), "/tmp/layercake-test.%d", getpid());
	test_socket_path();
	test_entering();
	test_bad_answers();
	test_sessions();
	test_a_restarted_launcher_is_asked_anew();
	test_nobody_notices_a_graceful_restart();
	test_the_user_hears_of_a_launcher_that_does_not_answer_yet();
	test_telling();
	return summary();
}
