/*
 * What options, variables and the allocation come to in the environment of a job or step: plays
 * srun and sbatch, whose functions the plugin gets from the program that loads it.
 */
#define _GNU_SOURCE
#include "shared/test/check.h"

#include <errno.h>
#include <slurm/slurm.h>
#include <slurm/spank.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define INHERITED "SLURM_SPANK__SLURM_SPANK_OPTION_layercake_"

enum { REFUSED = 1, BAD_ARGUMENT = 98 };

static spank_context_t context;
static struct spank_option registered[16];
static size_t registered_count;
static char said[8192];
static char *argument = "check=no"; /* of the plugin: there is no store to ask */
static char *rules_argument = "policy=/nonexistent";

spank_context_t spank_context(void)
{
	return context;
}

spank_err_t spank_option_register(spank_t spank, struct spank_option *option)
{
	(void)spank;
	if (registered_count == sizeof(registered) / sizeof(registered[0]))
		return ESPANK_ERROR;
	registered[registered_count++] = *option;
	return ESPANK_SUCCESS;
}

spank_err_t spank_get_item(spank_t spank, spank_item_t item, ...)
{
	(void)spank;
	(void)item;
	return ESPANK_NOT_AVAIL;
}

spank_err_t spank_getenv(spank_t spank, const char *name, char *value, int size)
{
	(void)spank;
	(void)name;
	(void)value;
	(void)size;
	return ESPANK_ENV_NOEXIST;
}

int slurm_spank_init(spank_t spank, int argc, char **argv);
int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv);

/* Gives the option "NAME=VALUE" or "NAME" as the command would. */
static void give(const char *option)
{
	size_t length = strcspn(option, "=");
	const char *value = option[length] == '=' ? option + length + 1 : NULL;

	for (size_t i = 0; i < registered_count; i++) {
		const struct spank_option *known = &registered[i];
		if (strlen(known->name) == length && strncmp(known->name, option, length) == 0 &&
		    (known->has_arg != 0) == (value != NULL)) {
			known->cb(known->val, value, 0);
			return;
		}
	}
	_exit(99); /* srun knows no such option */
}

/* Options of the allocation, in the variables that Slurm hands them on by. */
static bool has_inherited_options(void)
{
	for (char **variable = environ; variable != NULL && *variable != NULL; variable++)
		if (strstr(*variable, "_SLURM_SPANK_OPTION_layercake_") != NULL)
			return true;
	return false;
}

/* In a child, since a command reads its options once. */
_Noreturn static void run_command(const char *const *options, const char *const *variables)
{
	const char *spec;

	clearenv();
	for (; *variables != NULL; variables++)
		putenv(strdup(*variables));
	if (slurm_spank_init(NULL, 2, (char *[]){argument, rules_argument}) < 0)
		_exit(BAD_ARGUMENT);
	if (has_inherited_options())
		_exit(97); /* an option of the step could not be told from one of these */
	for (; *options != NULL; options++)
		give(*options);
	if (slurm_spank_init_post_opt(NULL, 0, NULL) < 0)
		_exit(REFUSED);
	spec = getenv("SLURM_LAYERCAKE_SPEC");
	dprintf(STDERR_FILENO, "%s", spec != NULL ? spec : "unset");
	_exit(0);
}

static int run(const char *const *options, const char *const *variables)
{
	int pipes[2], status;
	ssize_t length;

	if (pipe(pipes) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(pipes[1], STDERR_FILENO);
		run_command(options, variables);
	}
	close(pipes[1]);
	memset(said, 0, sizeof(said));
	for (size_t at = 0; (length = read(pipes[0], said + at, sizeof(said) - 1 - at)) > 0;)
		at += (size_t)length;
	close(pipes[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define LIST(...)                                                                                  \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__ NULL                                                                   \
	}

#define GIVES(expected, options, variables)                                                        \
	do {                                                                                       \
		if (!CHECK(run(options, variables) == 0 && strcmp(said, expected) == 0))           \
			printf("  gave %s\n", said);                                               \
	} while (0)

#define REFUSES(part, options, variables)                                                          \
	do {                                                                                       \
		if (!CHECK(run(options, variables) == REFUSED && strstr(said, part) != NULL))      \
			printf("  gave %s\n", said);                                               \
	} while (0)

static void test_options(void)
{
	context = S_CTX_LOCAL;
	GIVES("unset", LIST(), LIST());
	GIVES("image=deb:12", LIST("ch-image=deb:12", ), LIST());
	GIVES("", LIST("ch-image=none", ), LIST());
	GIVES("image=deb;mount=/a:/a:rw;root=1;home=no;workdir=image;env=A,B,C",
	      LIST("ch-env=A,B", "ch-workdir=image", "ch-home=no", "ch-root", "ch-mount=/a",
		   "ch-image=deb", "ch-env=C", ),
	      LIST());
	GIVES("image=deb;entrypoint=1", LIST("ch-image=deb", "ch-entrypoint", ), LIST());
	GIVES("image=deb;profile=+a,-b,+c",
	      LIST("ch-image=deb", "ch-profile=+a,-b", "ch-profile=+c", ),
	      LIST("SLURM_CH_PROFILE=+d", ));
	GIVES("image=deb;profile=+d", LIST("ch-image=deb", ), LIST("SLURM_CH_PROFILE=+d", ));
	GIVES("image=deb;home=/tmp/h", LIST("ch-image=deb", "ch-home=./h", ), LIST());
	GIVES("image=deb;mount=/tmp/w:/tmp/w:rw;mount=/hh/x:/y:ro",
	      LIST("ch-image=deb", "ch-mount=w,~/x:/y:ro", ), LIST("HOME=/hh", ));
	GIVES("image=deb;mount=/s:/x:rw", LIST("ch-image=deb", "ch-mount=$SLURM_SUBMIT_DIR:/x", ),
	      LIST("SLURM_SUBMIT_DIR=/s", ));
}

static void test_variables(void)
{
	context = S_CTX_LOCAL;
	GIVES("image=deb;home=no;workdir=/w;env=A", LIST("ch-image=deb", ),
	      LIST("SLURM_CH_WORKDIR=/w", "SLURM_CH_HOME=no", "SLURM_CH_ENV=A", ));
	GIVES("image=deb;workdir=/x;env=B", LIST("ch-image=deb", "ch-workdir=/x", "ch-env=B", ),
	      LIST("SLURM_CH_WORKDIR=/w", "SLURM_CH_ENV=A", "SLURM_CH_HOME=", ));
	GIVES("image=deb;entrypoint=1", LIST("ch-image=deb", ), LIST("SLURM_CH_ENTRYPOINT=1", ));
	GIVES("image=deb", LIST("ch-image=deb", ), LIST("SLURM_CH_ENTRYPOINT=0", ));
	GIVES("unset", LIST(), LIST("SLURM_CH_WORKDIR=w", "SLURM_CH_ENV==", ));
	REFUSES("\"w\" as working directory", LIST("ch-image=deb", ), LIST("SLURM_CH_WORKDIR=w", ));
}

static void test_from_inside_a_step_starts_where_only_the_image_has_a_directory(void)
{
	char before[4096];

	context = S_CTX_LOCAL;
	CHECK(getcwd(before, sizeof(before)) != NULL && chdir("/") == 0);
	GIVES("image=deb", LIST("ch-image=deb", ), LIST());
	GIVES("image=deb;workdir=/", LIST("ch-image=deb", ), LIST("CH_RUNNING=x", ));
	GIVES("image=deb;workdir=/w", LIST("ch-image=deb", "ch-workdir=/w", ),
	      LIST("CH_RUNNING=x", ));
	context = S_CTX_ALLOCATOR;
	GIVES("image=deb", LIST("ch-image=deb", ), LIST("CH_RUNNING=x", ));
	CHECK(chdir(before) == 0);
}

static void test_an_allocation_goes_before_variables(void)
{
	context = S_CTX_LOCAL;
	GIVES("image=deb;home=no;workdir=/x;env=A", LIST("ch-workdir=/x", ),
	      LIST("SLURM_JOB_ID=1", "SLURM_LAYERCAKE_SPEC=image=deb;home=no;workdir=/w;env=A",
		   "SLURM_CH_HOME=/h", INHERITED "ch_image=deb", INHERITED "ch_workdir=/w", ));
	context = S_CTX_ALLOCATOR;
	GIVES("image=new;home=/h", LIST("ch-image=new", ),
	      LIST("SLURM_JOB_ID=1", "SLURM_LAYERCAKE_SPEC=image=deb;home=no;workdir=/w;env=A",
		   "SLURM_CH_HOME=/h", ));
	GIVES("image=deb;mount=/tmp:/x:rw", LIST("ch-image=deb", "ch-mount=$SLURM_SUBMIT_DIR:/x", ),
	      LIST("SLURM_SUBMIT_DIR=/s", ));
}

static void test_options_of_the_allocation_are_forgotten(void)
{
	context = S_CTX_LOCAL;
	GIVES("image=deb", LIST(),
	      LIST("SLURM_JOB_ID=1", "SLURM_LAYERCAKE_SPEC=image=deb", INHERITED "ch_image=deb",
		   INHERITED "ch_mount=/a", INHERITED "ch_root=", INHERITED "ch_writable=",
		   INHERITED "ch_batch=", INHERITED "ch_entrypoint=", INHERITED "ch_workdir=/w",
		   INHERITED "ch_home=no", INHERITED "ch_env=A",
		   "_SLURM_SPANK_OPTION_layercake_ch_image=deb", ));
}

static void test_refusals(void)
{
	context = S_CTX_LOCAL;
	REFUSES("--ch-workdir needs an image", LIST("ch-workdir=/w", ), LIST());
	REFUSES("--ch-entrypoint needs an image", LIST("ch-entrypoint", ), LIST());
	REFUSES("--ch-entrypoint needs an image, but --ch-image=none asks for none",
		LIST("ch-entrypoint", "ch-image=none", ), LIST());
	REFUSES("SLURM_CH_ENTRYPOINT=yes", LIST("ch-image=a", ), LIST("SLURM_CH_ENTRYPOINT=yes", ));
	REFUSES("--ch-home needs an image", LIST("ch-home=no", ), LIST());
	REFUSES("--ch-env needs an image", LIST("ch-env=A", ), LIST());
	REFUSES("--ch-env needs an image, but --ch-image=none asks for none",
		LIST("ch-env=A", "ch-image=none", ), LIST());
	REFUSES("\"w\" as working directory", LIST("ch-image=a", "ch-workdir=w", ), LIST());
	REFUSES("\"HOME\" as variables", LIST("ch-image=a", "ch-env=HOME", ), LIST());
	REFUSES("root directory is nobody's", LIST("ch-image=a", "ch-home=/", ), LIST());
	REFUSES("layercake push ./a a,", LIST("ch-image=./a", ), LIST());
	context = S_CTX_ALLOCATOR;
	REFUSES("SLURM_CH_BATCH=yes", LIST("ch-image=a", ), LIST("SLURM_CH_BATCH=yes", ));
	GIVES("image=a", LIST("ch-image=a", "ch-batch", ), LIST("SLURM_CH_BATCH=0", ));
	REFUSES("--ch-entrypoint is for srun steps",
		LIST("ch-image=a", "ch-batch", "ch-entrypoint", ), LIST());
}

static void test_jobs_may_have_an_image_by_default(void)
{
	char file[] = "/tmp/layercake-test.XXXXXX", rules[64];
	int fd = mkstemp(file);

	snprintf(rules, sizeof(rules), "policy=%s", file);
	rules_argument = rules;
	context = S_CTX_LOCAL;
	REFUSES("--ch-mount needs an image: add", LIST("ch-mount=/a", ), LIST());
	REFUSES("SLURM_LAYERCAKE_SPEC needs an image", LIST(),
		LIST("SLURM_JOB_ID=1", "SLURM_LAYERCAKE_SPEC=image=", ));
	dprintf(fd, "default image=site/x\n");
	GIVES("image=;mount=/a:/a:rw", LIST("ch-mount=/a", ), LIST());
	GIVES("image=deb;mount=/a:/a:rw", LIST("ch-mount=/a", "ch-image=deb", ), LIST());
	GIVES("image=;mount=/a:/a:rw;root=1", LIST("ch-root", ),
	      LIST("SLURM_JOB_ID=1", "SLURM_LAYERCAKE_SPEC=image=;mount=/a:/a:rw", ));
	GIVES("image=deb;mount=/a:/a:rw", LIST("ch-image=deb", ),
	      LIST("SLURM_JOB_ID=1", "SLURM_LAYERCAKE_SPEC=image=;mount=/a:/a:rw", ));
	GIVES("unset", LIST(), LIST());
	GIVES("unset", LIST(), LIST("SLURM_CH_MOUNT=/a", ));
	GIVES("", LIST(), LIST("SLURM_CH_IMAGE=none", ));
	GIVES("image=deb", LIST("ch-image=deb", ), LIST("SLURM_CH_IMAGE=none", ));
	GIVES("image=;mount=/a:/a:rw", LIST("ch-mount=/a", ), LIST("SLURM_CH_IMAGE=none", ));
	context = S_CTX_ALLOCATOR;
	GIVES("image=", LIST("ch-batch", ), LIST());
	close(fd);
	unlink(file);
	rules_argument = "policy=/nonexistent";
}

static void test_the_directory(void)
{
	context = S_CTX_LOCAL;
	CHECK(chdir("/proc/sys") == 0);
	GIVES("image=deb", LIST("ch-image=deb", ), LIST());
	CHECK(chdir("/usr") == 0);
	GIVES("image=deb;cwd=/usr", LIST("ch-image=deb", ), LIST());
	GIVES("image=deb;mount=/a:/usr:rw", LIST("ch-image=deb", "ch-mount=/a:/usr", ), LIST());
	GIVES("unset", LIST(), LIST());
	CHECK(chdir("/tmp") == 0);
}

static void test_the_plugins_arguments(void)
{
	static char *const known[] = {"check=no", "check=sbatch", "check=all", "socket=/r/s",
				      "policy=/p"};
	static char *const unknown[] = {"check=maybe", "check=",   "check",
					"socket=s",    "policy=p", "x"};

	context = S_CTX_LOCAL;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		argument = known[i];
		GIVES("unset", LIST(), LIST());
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		argument = unknown[i];
		CHECK(run(LIST(), LIST()) == BAD_ARGUMENT);
	}
	argument = known[0];
}

int main(void)
{
	CHECK(chdir("/tmp") == 0);
	test_options();
	test_variables();
	test_from_inside_a_step_starts_where_only_the_image_has_a_directory();
	test_an_allocation_goes_before_variables();
	test_options_of_the_allocation_are_forgotten();
	test_refusals();
	test_jobs_may_have_an_image_by_default();
	test_the_directory();
	test_the_plugins_arguments();
	return summary();
}
