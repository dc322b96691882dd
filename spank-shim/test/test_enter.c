/* The environment of a task; joining itself is tested with real containers. */
#include "shared/enter.h"
#include "shared/test/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Applies an image's environment to our own, but for variables that are kept. */
static void apply_but(const char *kept, const char *a, const char *b)
{
	char first[64], second[64];
	char *entries[] = {strcpy(first, a), strcpy(second, b), NULL};
	struct lc_container container = {.environment = entries};

	lc_apply_environment(&container, &lc_own_environment, kept);
	CHECK(strcmp(first, a) == 0 && strcmp(second, b) == 0);
}

static void apply(const char *a, const char *b)
{
	apply_but(NULL, a, b);
}

static bool is(const char *name, const char *value)
{
	const char *found = getenv(name);

	return found == NULL ? value == NULL : value != NULL && strcmp(found, value) == 0;
}

static void test_what_an_image_may_set(void)
{
	static const char *const kept[] = {
	    "SLURM_JOB_ID", "SLURMD_NODENAME", "PMI_FD",  "PMIX_RANK",
	    "HOME",	    "TMPDIR",	       "SSH_TTY", "SPANK_X"};
	static const char *const free_[] = {"HOMEBREW", "PATH", "LANG", "LD_LIBRARY_PATH", "A"};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		CHECK(!lc_image_may_set(kept[i]));
	for (size_t i = 0; i < sizeof(free_) / sizeof(free_[0]); i++)
		CHECK(lc_image_may_set(free_[i]));
}

static void test_environment(void)
{
	setenv("HOME", "/home/me", 1);
	setenv("A", "mine", 1);
	setenv("TMPDIR", "/nonexistent", 1);
	apply("A=b=c", "HOME=/root");
	CHECK(is("A", "b=c"));
	CHECK(is("HOME", "/home/me"));
	CHECK(is("TMPDIR", NULL));
	CHECK(getenv("CH_RUNNING") != NULL);
	setenv("TMPDIR", "/tmp", 1);
	apply("B=", "C=1");
	CHECK(is("B", ""));
	CHECK(is("TMPDIR", "/tmp"));
}

static void test_what_is_kept(void)
{
	setenv("MINE", "mine", 1);
	setenv("MINE2", "", 1);
	unsetenv("UNSET");
	apply_but("MIN,MINE,UNSET", "MINE=image", "UNSET=image");
	CHECK(is("MINE", "mine") && is("UNSET", "image"));
	apply_but("A,MINE2", "MINE=image", "MINE2=image");
	CHECK(is("MINE", "image") && is("MINE2", ""));
	setenv("PATH", "/mine:/usr/bin:/sbin", 1);
	apply_but("PATH", "PATH=/image", "C=1");
	CHECK(strncmp(getenv("PATH"), "/mine:/usr/bin:/sbin:", 21) == 0);
}

static void test_what_the_site_takes_out(void)
{
	setenv("ONE", "1", 1);
	setenv("TWO", "2", 1);
	setenv("HOME", "/home/me", 1);
	apply_but("TWO", "LAYERCAKE_UNSET=ONE:TWO:HOME::NONE", "ONLY=1");
	CHECK(is("ONE", NULL) && is("TWO", "2") && is("HOME", "/home/me"));
	CHECK(is("LAYERCAKE_UNSET", NULL) && is("ONLY", "1"));
	setenv("ONE", "1", 1);
	apply("LAYERCAKE_UNSET=", "LAYERCAKE_UNSET=:ONE:");
	CHECK(is("ONE", NULL));
}

static void test_places(void)
{
	setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	setenv("SHELL", "/nonexistent/zsh", 1);
	apply("B=", "SHELL=/bin/false");
	CHECK(is("XDG_RUNTIME_DIR", NULL));
	CHECK(is("SHELL", "/bin/sh"));
	setenv("XDG_RUNTIME_DIR", "/tmp", 1);
	setenv("SHELL", "/bin/cat", 1);
	apply("B=", "C=1");
	CHECK(is("XDG_RUNTIME_DIR", "/tmp"));
	CHECK(is("SHELL", "/bin/cat"));
	unsetenv("SHELL");
	apply("B=", "C=1");
	CHECK(is("SHELL", NULL));
}

static void test_path(void)
{
	bool root = getuid() == 0;

	setenv("PATH", "/usr/sbin:/bin:/opt/x", 1);
	apply("B=1", "C=1");
	CHECK(is("PATH", root
			     ? "/usr/sbin:/bin:/opt/x:/usr/local/bin:/usr/bin:/usr/local/sbin:/sbin"
			     : "/usr/sbin:/bin:/opt/x:/usr/local/bin:/usr/bin"));
	unsetenv("PATH");
	apply("B=1", "C=1");
	CHECK(is("PATH", root ? "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
			      : "/usr/local/bin:/usr/bin:/bin"));
	apply("PATH=/image", "C=1");
	CHECK(is("PATH", "/image"));
}

static void test_pwd(void)
{
	CHECK(chdir("/usr") == 0);
	setenv("PWD", "/proc/self/cwd", 1);
	apply("B=1", "C=1");
	CHECK(is("PWD", "/proc/self/cwd"));
	setenv("PWD", "/tmp", 1);
	apply("B=1", "C=1");
	CHECK(is("PWD", "/usr"));
}

static void test_a_step_starts_in_its_directory_or_not_at_all(void)
{
	struct lc_error error = {0};
	char directory[16];

	CHECK(lc_start_in("/usr", &error) == 0);
	CHECK(lc_start_in("/nonexistent/w", &error) < 0 && error.code == EXIT_REQUEST);
	CHECK(strstr(error.text, "\"/nonexistent/w\"") != NULL);
	CHECK(strstr(error.text, "No such file") != NULL);
	CHECK(getcwd(directory, sizeof(directory)) != NULL && strcmp(directory, "/usr") == 0);
}

int main(void)
{
	test_a_step_starts_in_its_directory_or_not_at_all();
	test_what_an_image_may_set();
	test_environment();
	test_what_is_kept();
	test_what_the_site_takes_out();
	test_places();
	test_path();
	test_pwd();
	return summary();
}
