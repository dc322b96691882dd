#define _GNU_SOURCE
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* --- writing --- */

static void put_number(struct lc_frames *frames, uint32_t value, int bytes)
{
	while (bytes-- > 0)
		frames->bytes[frames->size++] = (uint8_t)(value >> (8 * bytes));
}

static void put_text(struct lc_frames *frames, const char *text)
{
	size_t length =
	    strnlen(text, LC_SPEC_MAX + 1); /* one too many is for the launcher to refuse */

	put_number(frames, (uint32_t)length, 2);
	memcpy(frames->bytes + frames->size, text, length);
	frames->size += length;
}

/* Returns where the frame starts, for end_frame. */
static size_t begin_frame(struct lc_frames *frames, enum lc_type type)
{
	size_t start = frames->size;

	frames->size += 4;
	put_number(frames, (uint32_t)type, 1);
	return start;
}

static void end_frame(struct lc_frames *frames, size_t start)
{
	size_t end = frames->size;

	frames->size = start;
	put_number(frames, (uint32_t)(end - start - 4), 4);
	frames->size = end;
}

static size_t begin_request(struct lc_frames *frames, enum lc_type type)
{
	frames->size = 0;
	size_t hello = begin_frame(frames, LC_HELLO);
	put_number(frames, 1, 2);
	end_frame(frames, hello);
	return begin_frame(frames, type);
}

void lc_frames_register(struct lc_frames *frames, uint32_t job, uint32_t uid, const char *spec)
{
	size_t start = begin_request(frames, LC_REGISTER);

	put_number(frames, job, 4);
	put_number(frames, uid, 4);
	put_text(frames, spec);
	end_frame(frames, start);
}

void lc_frames_start(struct lc_frames *frames, uint32_t job, uint32_t uid)
{
	size_t start = begin_request(frames, LC_START);

	put_number(frames, job, 4);
	put_number(frames, uid, 4);
	end_frame(frames, start);
}

void lc_frames_release(struct lc_frames *frames, uint32_t job)
{
	size_t start = begin_request(frames, LC_RELEASE);

	put_number(frames, job, 4);
	end_frame(frames, start);
}

void lc_frames_enter(struct lc_frames *frames, uint32_t job, uint32_t step, const char *spec)
{
	size_t start = begin_request(frames, LC_ENTER);

	put_number(frames, job, 4);
	put_number(frames, step, 4);
	put_text(frames, spec);
	end_frame(frames, start);
}

void lc_frames_session(struct lc_frames *frames, uint32_t job)
{
	size_t start = begin_request(frames, LC_SESSION);

	put_number(frames, job, 4);
	end_frame(frames, start);
}

/* --- reading --- */

/* What is left of a payload. Once it has failed, everything read is zero or NULL. */
struct reader {
	const uint8_t *at;
	size_t left;
	bool failed;
};

static uint32_t get_number(struct reader *reader, int bytes)
{
	uint32_t value = 0;

	if (reader->failed || reader->left < (size_t)bytes) {
		reader->failed = true;
		return 0;
	}
	reader->left -= (size_t)bytes;
	while (bytes-- > 0)
		value = value << 8 | *reader->at++;
	return value;
}

/* Copies a text to *to, ends it with NUL and moves *to behind that. */
static char *get_text(struct reader *reader, char **to)
{
	size_t length = get_number(reader, 2);
	char *text = *to;

	if (reader->failed || reader->left < length || memchr(reader->at, '\0', length) != NULL) {
		reader->failed = true;
		return NULL;
	}
	memcpy(text, reader->at, length);
	text[length] = '\0';
	reader->at += length;
	reader->left -= length;
	*to += length + 1;
	return text;
}

static int malformed(struct lc_error *error)
{
	return lc_fail(error, LC_INTERNAL,
		       "the launcher sent a malformed reply (are plugin and launcher of the same "
		       "release?)");
}

int lc_parse_entered(const uint8_t *payload, size_t size, struct lc_container *container,
		     struct lc_error *error)
{
	struct reader reader = {.at = payload, .left = size};
	size_t count = get_number(&reader, 2);
	char *to;

	*container = (struct lc_container){.user_namespace = -1, .mount_namespace = -1};
	if (reader.failed || count * 2 > reader.left)
		return malformed(error);
	container->environment = calloc(count + 1, sizeof(char *));
	container->text = to = malloc(size); /* each text grows by a NUL and loses its length */
	if (container->environment == NULL || container->text == NULL) {
		lc_container_clear(container);
		return lc_fail(error, LC_INTERNAL, "out of memory");
	}
	for (size_t i = 0; i < count && !reader.failed; i++) {
		char *text = get_text(&reader, &to);
		container->environment[i] = text;
		if (text == NULL || text[0] == '=' || strchr(text, '=') == NULL)
			reader.failed = true;
	}
	if (reader.failed || reader.left != 0) {
		lc_container_clear(container);
		return malformed(error);
	}
	return 0;
}

int lc_parse_abort(const uint8_t *payload, size_t size, struct lc_error *error)
{
	struct reader reader = {.at = payload, .left = size};
	int code = (int)get_number(&reader, 1);
	char *to = malloc(size + 1), *text = NULL;

	if (to == NULL)
		return lc_fail(error, LC_INTERNAL, "out of memory");
	char *buffer = to;
	text = get_text(&reader, &to);
	if (reader.failed || reader.left != 0 || code == 0)
		malformed(error); /* code 0 would be a success that did not happen */
	else
		lc_fail(error, code, "%s", text);
	free(buffer);
	return -1;
}

void lc_container_clear(struct lc_container *container)
{
	if (container->user_namespace >= 0)
		close(container->user_namespace);
	if (container->mount_namespace >= 0)
		close(container->mount_namespace);
	free(container->environment);
	free(container->text);
	*container = (struct lc_container){.user_namespace = -1, .mount_namespace = -1};
}

/* --- the connection --- */

/* Whether somebody is at the other end. */
enum presence {
	PRESENT,
	ABSENT, /* no launcher runs */
	LOST,	/* it was there: it is being stopped or restarted */
};

struct connection {
	int fd;
	int64_t deadline_millis; /* CLOCK_MONOTONIC */
	int fds[2];		 /* received, -1 when not */
	enum presence presence;
	uint8_t type;
	size_t size; /* of the payload */
	uint8_t payload[LC_FRAME_MAX];
};

static int64_t now_millis(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *node_name(void)
{
	static char name[65];

	if (gethostname(name, sizeof(name) - 1) < 0)
		strcpy(name, "this node");
	return name;
}

static int silent(struct lc_error *error)
{
	return lc_fail(error, LC_UNREACHABLE,
		       "the launcher on %s does not answer (try again, or tell the site)",
		       node_name());
}

static int unreachable(struct lc_error *error, const char *path, int cause)
{
	return lc_fail(error, LC_UNREACHABLE,
		       "the launcher on %s is not running: \"%s\": %s (tell the site, or use "
		       "another node)",
		       node_name(), path, strerror(cause));
}

/* Gives the next system call on the socket what is left of the time. Returns -1 if nothing is. */
static int limit_next_call(const struct connection *connection)
{
	int64_t left = connection->deadline_millis - now_millis();
	struct timeval time = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};

	if (left <= 0)
		return -1;
	if (setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) < 0 ||
	    setsockopt(connection->fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)) < 0)
		return -1;
	return 0;
}

static int open_connection(struct connection *connection, const char *path, int timeout_millis,
			   struct lc_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int result;

	connection->fds[0] = connection->fds[1] = -1;
	connection->presence = PRESENT;
	connection->deadline_millis = now_millis() + timeout_millis;
	connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd < 0)
		return lc_fail(error, LC_INTERNAL, "cannot make a socket: %s", strerror(errno));
	if (strlen(path) >= sizeof(address.sun_path))
		return lc_fail(error, LC_MISCONFIGURED, "the socket path \"%s\" is too long", path);
	strcpy(address.sun_path, path);
	do { /* on Unix sockets SO_SNDTIMEO also limits connect(2) */
		if (limit_next_call(connection) < 0)
			return silent(error);
		result = connect(connection->fd, (struct sockaddr *)&address, sizeof(address));
	} while (result < 0 && errno == EINTR);
	if (result < 0 && errno == EAGAIN)
		return silent(error);
	if (result == 0)
		return 0;
	connection->presence = ABSENT;
	return unreachable(error, path, errno);
}

static void close_connection(struct connection *connection)
{
	for (int i = 0; i < 2; i++)
		if (connection->fds[i] >= 0)
			close(connection->fds[i]);
	if (connection->fd >= 0)
		close(connection->fd);
}

static int send_frames(struct connection *connection, const struct lc_frames *frames,
		       struct lc_error *error)
{
	size_t sent = 0;

	while (sent < frames->size) {
		if (limit_next_call(connection) < 0)
			return silent(error);
		ssize_t n =
		    send(connection->fd, frames->bytes + sent, frames->size - sent, MSG_NOSIGNAL);
		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN)
			return silent(error);
		else if (errno == EPIPE || errno == ECONNRESET)
			return 0; /* it may have said why: read that */
		else if (errno != EINTR)
			return lc_fail(error, LC_UNREACHABLE, "cannot speak to the launcher: %s",
				       strerror(errno));
	}
	return 0;
}

/* Keeps the first two descriptors that ever arrive; closes what exceeds them. */
static int take_descriptors(struct connection *connection, struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd, result = message->msg_flags & MSG_CTRUNC ? -1 : 0;

	for (; header != NULL; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			int *slot =
			    connection->fds[0] < 0 ? &connection->fds[0] : &connection->fds[1];
			if (*slot >= 0) {
				close(fd);
				result = -1;
			} else {
				*slot = fd;
			}
		}
	}
	return result;
}

static int receive(struct connection *connection, uint8_t *bytes, size_t size,
		   struct lc_error *error)
{
	while (size > 0) {
		union {
			struct cmsghdr align;
			char space[CMSG_SPACE(2 * sizeof(int))];
		} control;
		struct iovec part = {.iov_base = bytes, .iov_len = size};
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};
		if (limit_next_call(connection) < 0)
			return silent(error);
		ssize_t n = recvmsg(connection->fd, &message, MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return silent(error);
		if (n <= 0) {
			connection->presence = LOST;
			return lc_fail(error, LC_UNREACHABLE,
				       "the launcher on %s went away (try again)", node_name());
		}
		if (take_descriptors(connection, &message) < 0)
			return malformed(error);
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

static int receive_frame(struct connection *connection, struct lc_error *error)
{
	uint8_t head[5];

	if (receive(connection, head, sizeof(head), error) < 0)
		return -1;
	uint32_t length =
	    (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (length < 1 || length > LC_FRAME_MAX)
		return malformed(error);
	connection->type = head[4];
	connection->size = length - 1;
	return receive(connection, connection->payload, connection->size, error);
}

/*
 * How long to leave a launcher that is gone alone before it is asked anew. The impatient ask one
 * that was lost a second time, too: a launcher that is restarted closes its connections, and new
 * ones wait in the queue of its socket, which systemd holds.
 */
enum { NAP_MILLIS = 100 };

static int tell_once(const char *socket_path, const struct lc_frames *request, int timeout_millis,
		     enum presence *presence, struct lc_error *error)
{
	struct connection connection;
	int result = -1;

	if (open_connection(&connection, socket_path, timeout_millis, error) < 0 ||
	    send_frames(&connection, request, error) < 0)
		goto out;
	do {
		if (receive_frame(&connection, error) < 0)
			goto out;
	} while (connection.type == LC_PROGRESS);
	if (connection.type == LC_OK && connection.size == 0)
		result = 0;
	else if (connection.type == LC_ABORT)
		lc_parse_abort(connection.payload, connection.size, error);
	else
		malformed(error);
out:
	*presence = connection.presence;
	close_connection(&connection);
	return result;
}

int lc_tell(const char *socket_path, const struct lc_frames *request, bool patient,
	    int timeout_millis, struct lc_error *error)
{
	int64_t deadline_millis = now_millis() + timeout_millis;

	for (bool asked_twice = patient;;) {
		enum presence presence;
		int left_millis = (int)(deadline_millis - now_millis());
		int result = tell_once(socket_path, request, left_millis, &presence, error);
		if (result == 0 || presence == PRESENT || left_millis <= NAP_MILLIS)
			return result;
		if (!patient && (presence == ABSENT || asked_twice))
			return result;
		asked_twice = true;
		poll(NULL, 0, NAP_MILLIS);
	}
}

static int show_progress(struct connection *connection, lc_progress *progress, void *context,
			 struct lc_error *error)
{
	struct reader reader = {.at = connection->payload, .left = connection->size};
	char *line = malloc(connection->size + 1), *to = line;
	int result = 0;

	if (line == NULL)
		return lc_fail(error, LC_INTERNAL, "out of memory");
	if (get_text(&reader, &to) == NULL || reader.left != 0)
		result = malformed(error);
	else if (line[0] != '\0')
		progress(line, context);
	free(line);
	return result;
}

static int accept_container(struct connection *connection, struct lc_container *container,
			    struct lc_error *error)
{
	if (connection->fds[0] < 0 || connection->fds[1] < 0)
		return malformed(error);
	if (lc_parse_entered(connection->payload, connection->size, container, error) < 0)
		return -1;
	container->user_namespace = connection->fds[0];
	container->mount_namespace = connection->fds[1];
	connection->fds[0] = connection->fds[1] = -1;
	return 0;
}

struct question {
	const char *socket_path;
	const struct lc_frames *request;
	int silence_millis; /* a launcher that says nothing for so long is given up */
	int absence_millis; /* and so is one that does not run for so long in all */
	lc_progress *progress;
	void *context;
};

/* How long before the user hears whom we wait for. A launcher that works says so every 2 s. */
enum { SPEAK_MILLIS = 1000, SPEAK_OF_SILENCE_MILLIS = 3000 };

/*
 * Systemd may hold the socket of a launcher that is just being started: somebody is there to
 * connect to, and nobody yet to answer.
 */
static void tell_of_silence(const struct connection *connection, const struct question *question)
{
	struct pollfd answer = {.fd = connection->fd, .events = POLLIN};
	char line[128];

	if (question->silence_millis <= SPEAK_OF_SILENCE_MILLIS ||
	    poll(&answer, 1, SPEAK_OF_SILENCE_MILLIS) != 0)
		return;
	snprintf(line, sizeof(line), "waiting for the launcher on %s, which does not answer yet",
		 node_name());
	question->progress(line, question->context);
}

/* Returns 1 when the launcher sends to the host. */
static int ask_once(const struct question *question, struct lc_container *container,
		    enum presence *presence, struct lc_error *error)
{
	struct connection connection;
	int result = -1;

	if (open_connection(&connection, question->socket_path, question->silence_millis, error) <
		0 ||
	    send_frames(&connection, question->request, error) < 0)
		goto out;
	connection.deadline_millis = now_millis() + question->silence_millis;
	tell_of_silence(&connection, question);
	for (;; connection.deadline_millis = now_millis() + question->silence_millis) {
		if (receive_frame(&connection, error) < 0)
			break;
		if (connection.type == LC_PROGRESS) {
			if (show_progress(&connection, question->progress, question->context,
					  error) < 0)
				break;
			continue;
		}
		if (connection.type == LC_ENTERED)
			result = accept_container(&connection, container, error);
		else if (connection.type == LC_HOST && connection.size == 0)
			result = 1;
		else if (connection.type == LC_ABORT)
			lc_parse_abort(connection.payload, connection.size, error);
		else
			malformed(error);
		break;
	}
out:
	*presence = connection.presence;
	close_connection(&connection);
	return result;
}

/*
 * A launcher may be restarted at any moment, and requests may be repeated: so one that is gone is
 * given some time to come back, and is asked anew.
 */
static int ask(const struct question *question, struct lc_container *container,
	       struct lc_error *error)
{
	char line[128];

	for (int absent_millis = 0;; absent_millis += NAP_MILLIS) {
		enum presence presence;
		int result = ask_once(question, container, &presence, error);
		if (result >= 0 || presence == PRESENT)
			return result;
		if (absent_millis >= question->absence_millis &&
		    (presence == ABSENT || absent_millis > 0))
			return result;
		if (absent_millis == SPEAK_MILLIS) {
			snprintf(line, sizeof(line),
				 "waiting for the launcher on %s, which does not run", node_name());
			question->progress(line, question->context);
		}
		poll(NULL, 0, NAP_MILLIS);
	}
}

int lc_ask_to_enter(const char *socket_path, uint32_t job, uint32_t step, const char *spec,
		    lc_progress *progress, void *context, struct lc_container *container,
		    struct lc_error *error)
{
	struct lc_frames request;
	const struct question question = {socket_path,	     &request, LC_SILENCE_MILLIS,
					  LC_ABSENCE_MILLIS, progress, context};

	lc_frames_enter(&request, job, step, spec);
	int result = ask(&question, container, error);
	/* A step that asked for a container never runs on the host. */
	return result > 0 ? malformed(error) : result;
}

int lc_ask_for_session(const char *socket_path, uint32_t job, bool patient, lc_progress *progress,
		       void *context, struct lc_container *container, struct lc_error *error)
{
	struct lc_frames request;
	const struct question question = {socket_path,
					  &request,
					  patient ? LC_SILENCE_MILLIS : LC_IMPATIENCE_MILLIS,
					  patient ? LC_ABSENCE_MILLIS : 0,
					  progress,
					  context};

	lc_frames_session(&request, job);
	return ask(&question, container, error);
}
