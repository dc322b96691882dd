#define _GNU_SOURCE
#include "session.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

void start_own_session(void)
{
	sigset_t none;

	setsid();
	umask(022);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
