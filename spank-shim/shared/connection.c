#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int64_t lc_now_millis(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *lc_node_name(void)
{
	static char name[65];

	if (gethostname(name, sizeof(name) - 1) < 0)
		strcpy(name, "this node");
	return name;
}

static int silent(struct lc_error *error)
{
	return lc_fail(error, EXIT_UNAVAILABLE,
		       "the launcher on %s does not answer (try again, or tell the site)",
		       lc_node_name());
}

static int unreachable(struct lc_error *error, const char *path, int cause)
{
	return lc_fail(error, EXIT_UNAVAILABLE,
		       "the launcher on %s is not running: \"%s\": %s (tell the site, or use "
		       "another node)",
		       lc_node_name(), path, strerror(cause));
}

/* Gives the next system call on the socket what is left of the time. Returns -1 if nothing is. */
static int limit_next_call(const struct lc_connection *connection)
{
	int64_t left = connection->deadline_millis - lc_now_millis();
	struct timeval time = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};

	if (left <= 0)
		return -1;
	if (setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) < 0 ||
	    setsockopt(connection->fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)) < 0)
		return -1;
	return 0;
}

int lc_connection_open(struct lc_connection *connection, const char *path, int timeout_millis,
		       struct lc_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int result;

	connection->fds[0] = connection->fds[1] = -1;
	connection->presence = LC_PRESENT;
	connection->deadline_millis = lc_now_millis() + timeout_millis;
	connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd < 0)
		return lc_fail(error, EXIT_INTERNAL, "cannot make a socket: %s", strerror(errno));
	if (strlen(path) >= sizeof(address.sun_path))
		return lc_fail(error, EXIT_MISCONFIGURED, "the socket path \"%s\" is too long",
			       path);
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
	connection->presence = LC_ABSENT;
	return unreachable(error, path, errno);
}

void lc_connection_close(struct lc_connection *connection)
{
	for (int i = 0; i < 2; i++)
		if (connection->fds[i] >= 0)
			close(connection->fds[i]);
	if (connection->fd >= 0)
		close(connection->fd);
}

int lc_connection_send(struct lc_connection *connection, const struct lc_frames *frames,
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
			return lc_fail(error, EXIT_UNAVAILABLE, "cannot speak to the launcher: %s",
				       strerror(errno));
	}
	return 0;
}

/* Keeps the first two descriptors that ever arrive; closes what exceeds them. */
static int take_descriptors(struct lc_connection *connection, struct msghdr *message)
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

static int receive(struct lc_connection *connection, uint8_t *bytes, size_t size,
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
			connection->presence = LC_LOST;
			return lc_fail(error, EXIT_UNAVAILABLE,
				       "the launcher on %s went away (try again)", lc_node_name());
		}
		if (take_descriptors(connection, &message) < 0)
			return lc_malformed_reply(error);
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

int lc_connection_receive(struct lc_connection *connection, struct lc_error *error)
{
	uint8_t head[5];

	if (receive(connection, head, sizeof(head), error) < 0)
		return -1;
	uint32_t length =
	    (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (length < 1 || length > LC_FRAME_MAX)
		return lc_malformed_reply(error);
	connection->type = head[4];
	connection->size = length - 1;
	return receive(connection, connection->payload, connection->size, error);
}
