#define _GNU_SOURCE
#include "ask.h"
#include "connection.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * How long to leave a launcher that is gone alone before it is asked anew. The impatient ask one
 * that was lost a second time, too: a launcher that is restarted closes its connections, and new
 * ones wait in the queue of its socket, which systemd holds.
 */
enum { NAP_MILLIS = 100 };

const char *lc_socket_path(const char *run_directory, char *path, size_t size)
{
	int length = snprintf(path, size, "%s/launcher.sock", run_directory);

	return length > 0 && (size_t)length < size ? path : NULL;
}

static int tell_once(const char *socket_path, const struct lc_frames *request, int timeout_millis,
		     enum lc_presence *presence, struct lc_error *error)
{
	struct lc_connection connection;
	int result = -1;

	if (lc_connection_open(&connection, socket_path, timeout_millis, error) < 0 ||
	    lc_connection_send(&connection, request, error) < 0)
		goto out;
	do {
		if (lc_connection_receive(&connection, error) < 0)
			goto out;
	} while (connection.type == LC_PROGRESS);
	if (connection.type == LC_OK && connection.size == 0)
		result = 0;
	else if (connection.type == LC_ABORT)
		lc_parse_abort(connection.payload, connection.size, error);
	else
		lc_malformed_reply(error);
out:
	*presence = connection.presence;
	lc_connection_close(&connection);
	return result;
}

int lc_tell(const char *socket_path, const struct lc_frames *request, bool patient,
	    int timeout_millis, struct lc_error *error)
{
	int64_t deadline_millis = lc_now_millis() + timeout_millis;

	for (bool asked_twice = patient;;) {
		enum lc_presence presence;
		int left_millis = (int)(deadline_millis - lc_now_millis());
		int result = tell_once(socket_path, request, left_millis, &presence, error);
		if (result == 0 || presence == LC_PRESENT || left_millis <= NAP_MILLIS)
			return result;
		if (!patient && (presence == LC_ABSENT || asked_twice))
			return result;
		asked_twice = true;
		poll(NULL, 0, NAP_MILLIS);
	}
}

static int show_progress(const struct lc_connection *connection, lc_progress *progress,
			 void *context, struct lc_error *error)
{
	char *line = lc_parse_progress(connection->payload, connection->size, error);

	if (line == NULL)
		return -1;
	if (line[0] != '\0')
		progress(line, context);
	free(line);
	return 0;
}

static int accept_container(struct lc_connection *connection, struct lc_container *container,
			    struct lc_error *error)
{
	if (connection->fds[0] < 0 || connection->fds[1] < 0)
		return lc_malformed_reply(error);
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
static void tell_of_silence(const struct lc_connection *connection, const struct question *question)
{
	struct pollfd answer = {.fd = connection->fd, .events = POLLIN};
	char line[128];

	if (question->silence_millis <= SPEAK_OF_SILENCE_MILLIS ||
	    poll(&answer, 1, SPEAK_OF_SILENCE_MILLIS) != 0)
		return;
	snprintf(line, sizeof(line), "waiting for the launcher on %s, which does not answer yet",
		 lc_node_name());
	question->progress(line, question->context);
}

/* Returns 1 when the launcher sends to the host. */
static int ask_once(const struct question *question, struct lc_container *container,
		    enum lc_presence *presence, struct lc_error *error)
{
	struct lc_connection connection;
	int result = -1;

	if (lc_connection_open(&connection, question->socket_path, question->silence_millis,
			       error) < 0 ||
	    lc_connection_send(&connection, question->request, error) < 0)
		goto out;
	connection.deadline_millis = lc_now_millis() + question->silence_millis;
	tell_of_silence(&connection, question);
	for (;; connection.deadline_millis = lc_now_millis() + question->silence_millis) {
		if (lc_connection_receive(&connection, error) < 0)
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
			lc_malformed_reply(error);
		break;
	}
out:
	*presence = connection.presence;
	lc_connection_close(&connection);
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
		enum lc_presence presence;
		int result = ask_once(question, container, &presence, error);
		if (result >= 0 || presence == LC_PRESENT)
			return result;
		if (absent_millis >= question->absence_millis &&
		    (presence == LC_ABSENT || absent_millis > 0))
			return result;
		if (absent_millis == SPEAK_MILLIS) {
			snprintf(line, sizeof(line),
				 "waiting for the launcher on %s, which does not run",
				 lc_node_name());
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
	/* A step that asked for a container never runs on the host, nor the other way round. */
	if (result == 0 && strcmp(spec, LC_SPEC_OF_HOST) == 0) {
		lc_container_clear(container);
		return lc_malformed_reply(error);
	}
	return result > 0 && lc_spec_names_image(spec) ? lc_malformed_reply(error) : result;
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
