/*
 * ping SOCKET: whether the launcher answers on this socket, for layercake-check. Root's alone.
 *
 * It asks for the container of job 0, which is no job: the answer is OK, and nothing else happens.
 */
#include "common/die.h"
#include "shared/ask.h"

enum { NO_JOB = 0, PING_MILLIS = 5000 };

int main(int argc, char **argv)
{
	struct lc_frames request;
	struct lc_error error;

	if (argc != 2)
		die(EXIT_REQUEST, "usage: ping SOCKET");
	lc_frames_start(&request, NO_JOB, 0);
	if (lc_tell(argv[1], &request, false, PING_MILLIS, &error) < 0)
		die(error.code, "%s", error.text);
}
