/*
 * What a launcher may send, as bytes: whatever it is, each kind of request ends at once with a
 * result or an error, and keeps no descriptor. The other way round, requests made of the same bytes
 * arrive as they were made.
 */
#define _GNU_SOURCE
#include "shared/connection.h"
#include "shared/enter.h"
#include "shared/test/fuzz.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* The launcher has answered before it is asked, and nobody waits for one that is gone. */
static int open_answered(struct lc_connection *connection, const char *path, int timeout_millis,
			 struct lc_error *error);
static int wait_for_nothing(const struct pollfd *events, nfds_t count, int timeout_millis)
{
	(void)events;
	(void)count;
	(void)timeout_millis;
	return 0;
}
#define lc_connection_open open_answered
#define poll wait_for_nothing
#include "shared/ask.c"
#undef poll
#undef lc_connection_open

enum { DEADLINE_MILLIS = 5000, FDS_MAX = 4, FDS_OPEN_MAX = 40 };

static const uint8_t *reply;
static size_t reply_bytes;
static size_t reply_fds; /* with its first half */
static size_t late_fds;	 /* with the second */
static bool is_answered;

static void send_fds(int to, const uint8_t *bytes, size_t size, size_t count)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (count > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		for (size_t i = 0; i < count; i++)
			memcpy(CMSG_DATA(header) + i * sizeof(int), &to, sizeof(int));
	}
	INSIST(sendmsg(to, &message, MSG_NOSIGNAL) == (ssize_t)size);
}

static void open_pair(struct lc_connection *connection, int *other)
{
	int pair[2];

	INSIST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	connection->fd = pair[0];
	connection->fds[0] = connection->fds[1] = -1;
	connection->presence = LC_PRESENT;
	connection->deadline_millis = lc_now_millis() + DEADLINE_MILLIS;
	*other = pair[1];
}

static int open_answered(struct lc_connection *connection, const char *path, int timeout_millis,
			 struct lc_error *error)
{
	int launcher;

	(void)path;
	(void)timeout_millis;
	connection->fd = connection->fds[0] = connection->fds[1] = -1;
	connection->presence = LC_PRESENT;
	if (is_answered)
		return lc_fail(error, EXIT_UNAVAILABLE, "no launcher");
	is_answered = true;
	open_pair(connection, &launcher);
	size_t half = (reply_bytes + 1) / 2;
	if (half > 0)
		send_fds(launcher, reply, half, reply_fds);
	if (reply_bytes > half)
		send_fds(launcher, reply + half, reply_bytes - half, late_fds);
	/* Open for what it does not read. */
	shutdown(launcher, SHUT_WR);
	close(launcher);
	return 0;
}

/* --- the environment of an image --- */

static bool get_none(void *context, const char *name, char *value, size_t size)
{
	(void)context;
	(void)name;
	(void)value;
	(void)size;
	return false;
}

static void set_checked(void *context, const char *name, const char *value)
{
	(void)context;
	INSIST(name[0] != '\0' && strchr(name, '=') == NULL && value != NULL);
	INSIST(lc_image_may_set(name) || strcmp(name, "PWD") == 0);
}

static void unset_none(void *context, const char *name)
{
	(void)context;
	(void)name;
}

static void check_container(struct lc_container *container)
{
	const struct lc_environment environment = {get_none, set_checked, unset_none, NULL};
	size_t entries = 0;

	INSIST(container->user_namespace >= 0 && container->mount_namespace >= 0);
	INSIST((fcntl(container->user_namespace, F_GETFD) & FD_CLOEXEC) != 0);
	INSIST((fcntl(container->mount_namespace, F_GETFD) & FD_CLOEXEC) != 0);
	for (char **entry = container->environment; *entry != NULL; entry++, entries++)
		INSIST(strchr(*entry, '=') > *entry);
	INSIST(entries <= LC_FRAME_MAX / 2);
	lc_apply_environment(container, &environment, "PATH,A");
	lc_container_clear(container);
}

/* --- replies --- */

static void check_progress(const char *line, void *context)
{
	(void)context;
	INSIST(line[0] != '\0' && strlen(line) <= LC_FRAME_MAX);
}

static void check_error(const struct lc_error *error)
{
	INSIST(error->code > 0 && error->code < 256);
	INSIST(strlen(error->text) < sizeof(error->text) && strchr(error->text, '\n') == NULL);
}

static void check_replies(void)
{
	struct lc_container container;
	struct lc_frames frames;
	struct lc_error error = {0};

	is_answered = false;
	reply_fds = 2;
	late_fds = 0;
	int result = lc_ask_to_enter("", 1, 0, "image=a", check_progress, NULL, &container, &error);
	INSIST(result <= 0);
	if (result == 0)
		check_container(&container);
	else
		check_error(&error);

	is_answered = false;
	reply_fds = reply_bytes % FDS_MAX;
	late_fds = reply_bytes / FDS_MAX % FDS_MAX;
	result = lc_ask_for_session("", 1, true, check_progress, NULL, &container, &error);
	if (result == 0)
		check_container(&container);
	else if (result < 0)
		check_error(&error);

	is_answered = false;
	lc_frames_release(&frames, 1);
	if (lc_tell("", &frames, false, DEADLINE_MILLIS, &error) < 0)
		check_error(&error);
}

/* --- requests --- */

static void check_numbers(struct input *payload, uint32_t first, const uint32_t *second)
{
	INSIST(take_number(payload, 4) == first);
	INSIST(second == NULL || take_number(payload, 4) == *second);
}

/* One that is too long arrives one byte longer than is allowed, to be refused. */
static void check_text(struct input *payload, const char *text)
{
	size_t size = strnlen(text, LC_SPEC_MAX + 1);

	INSIST(take_number(payload, 2) == size && payload->left == size);
	INSIST(memcmp(payload->at, text, size) == 0);
	payload->left = 0;
}

static void check_request(const struct lc_frames *frames, enum lc_type type, uint32_t first,
			  const uint32_t *second, const char *text)
{
	static struct lc_connection connection, launcher;
	struct lc_error error;

	INSIST(frames->size <= sizeof(frames->bytes));
	open_pair(&connection, &launcher.fd);
	launcher.fds[0] = launcher.fds[1] = -1;
	launcher.deadline_millis = connection.deadline_millis;
	INSIST(lc_connection_send(&connection, frames, &error) == 0);
	INSIST(lc_connection_receive(&launcher, &error) == 0);
	INSIST(launcher.type == LC_HELLO && launcher.size == 2 && launcher.payload[1] == 1);
	INSIST(lc_connection_receive(&launcher, &error) == 0 && launcher.type == type);
	struct input payload = {.at = launcher.payload, .left = launcher.size};
	check_numbers(&payload, first, second);
	if (text != NULL)
		check_text(&payload, text);
	INSIST(payload.left == 0);
	lc_connection_close(&connection);
	INSIST(lc_connection_receive(&launcher, &error) < 0 && launcher.presence == LC_LOST);
	lc_connection_close(&launcher);
}

static void check_requests(struct input input)
{
	uint32_t job = take_number(&input, 4), uid = take_number(&input, 4);
	struct lc_frames frames;
	char *text = take_text(&input), *spec = copy_text("", 2 * strlen(text));

	strcpy(spec, text);
	if (job % 2 != 0)
		strcat(spec, text); /* longer than inputs are */
	lc_frames_register(&frames, job, uid, spec);
	check_request(&frames, LC_REGISTER, job, &uid, spec);
	lc_frames_enter(&frames, job, uid, spec);
	check_request(&frames, LC_ENTER, job, &uid, spec);
	lc_frames_start(&frames, job, uid);
	check_request(&frames, LC_START, job, &uid, NULL);
	lc_frames_session(&frames, job);
	check_request(&frames, LC_SESSION, job, NULL, NULL);
	lc_frames_release(&frames, job);
	check_request(&frames, LC_RELEASE, job, NULL, NULL);
	free(text);
	free(spec);
}

static int count_open(void)
{
	int count = 0;

	for (int fd = 0; fd < FDS_OPEN_MAX; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int open_before = count_open();

	reply = data;
	reply_bytes = size;
	check_replies();
	check_requests((struct input){.at = data, .left = size});
	INSIST(count_open() == open_before);
	return 0;
}
