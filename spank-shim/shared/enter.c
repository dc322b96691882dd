#define _GNU_SOURCE
#include "enter.h"
#include "pretend.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

int lc_enter(const struct lc_container *container, struct lc_error *error)
{
	/* The user namespace first: it grants what joining the other one takes, setns(2). */
	if (setns(container->user_namespace, CLONE_NEWUSER) < 0 ||
	    setns(container->mount_namespace, CLONE_NEWNS) < 0)
		return lc_fail(error, EXIT_INTERNAL, "cannot enter the container: %s (try again)",
			       strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return lc_fail(error, EXIT_INTERNAL, "cannot set no_new_privs: %s",
			       strerror(errno));
	return getuid() == 0 ? lc_pretend_root(error) : 0;
}

int lc_start_in(const char *directory, struct lc_error *error)
{
	if (chdir(directory) == 0)
		return 0;
	return lc_fail(error, EXIT_REQUEST,
		       "cannot start in \"%.1000s\" in the container: %s (--ch-mount=PATH shows it "
		       "there, --ch-workdir=PATH or =image starts elsewhere)",
		       directory, strerror(errno));
}

bool lc_image_may_set(const char *name)
{
	/*
	 * What belongs to the job, the step or the session, not to the software in the image. A
	 * name that ends in * stands for all names that begin so. The same list is in the user
	 * guide.
	 */
	static const char *const kept[] = {
	    /* Slurm, and how the tasks of a step find each other */
	    "SLURM*",
	    "SPANK*",
	    "_SLURM*",
	    "PMI*",
	    /* the devices Slurm gave to the step */
	    "CUDA_VISIBLE_DEVICES",
	    "HIP_VISIBLE_DEVICES",
	    "ROCR_VISIBLE_DEVICES",
	    "GPU_DEVICE_ORDINAL",
	    "ZE_AFFINITY_MASK",
	    /* the user and where he is */
	    "HOME",
	    "USER",
	    "LOGNAME",
	    "SHELL",
	    "PWD",
	    "OLDPWD",
	    "TMPDIR",
	    "XDG_RUNTIME_DIR",
	    /* the terminal, and the way in */
	    "TERM",
	    "DISPLAY",
	    "XAUTHORITY",
	    "SSH_*",
	    "KRB5CCNAME",
	};

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		size_t length = strcspn(kept[i], "*");
		if (strncmp(name, kept[i], length) == 0 &&
		    (kept[i][length] == '*' || name[length] == '\0'))
			return false;
	}
	return true;
}

/* No variable, but what the launcher says of others. */
#define UNSET_VARIABLE "LAYERCAKE_UNSET"

static bool path_has(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	for (const char *at = path;; at++) {
		size_t part = strcspn(at, ":");
		if (part == length && strncmp(at, directory, length) == 0)
			return true;
		at += part;
		if (*at == '\0')
			return false;
	}
}

/*
 * An image that says nothing has its programs where every distribution has them; those of root are
 * apart in some, and package managers want them on the path.
 */
static void complete_path(const struct lc_environment *environment)
{
	static const char *const usual[] = {"/usr/local/bin",  "/usr/bin",  "/bin",
					    "/usr/local/sbin", "/usr/sbin", "/sbin"};
	const size_t count = getuid() == 0 ? 6 : 3;
	char path[32768];
	size_t used;

	if (!environment->get(environment->context, "PATH", path, sizeof(path)))
		path[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		used = strlen(path);
		if (!path_has(path, usual[i]) && used + strlen(usual[i]) + 2 < sizeof(path))
			snprintf(path + used, sizeof(path) - used, "%s%s", used > 0 ? ":" : "",
				 usual[i]);
	}
	environment->set(environment->context, "PATH", path);
}

/* What says where something is that may not be inside. */
static void correct_places(const struct lc_environment *environment)
{
	static const char *const directories[] = {"TMPDIR", "XDG_RUNTIME_DIR"};
	char path[PATH_MAX];
	struct stat status;

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (environment->get(environment->context, directories[i], path, sizeof(path)) &&
		    stat(path, &status) < 0)
			environment->unset(environment->context, directories[i]);
	if (!environment->get(environment->context, "SHELL", path, sizeof(path)) ||
	    access(path, X_OK) == 0)
		return;
	if (access("/bin/sh", X_OK) == 0)
		environment->set(environment->context, "SHELL", "/bin/sh");
	else
		environment->unset(environment->context, "SHELL");
}

/* PWD may name the current directory by way of symbolic links, but it must name it. */
static void correct_pwd(const struct lc_environment *environment)
{
	char directory[PATH_MAX];
	struct stat here, there;

	if (stat(".", &here) == 0 &&
	    environment->get(environment->context, "PWD", directory, sizeof(directory)) &&
	    stat(directory, &there) == 0 && here.st_dev == there.st_dev &&
	    here.st_ino == there.st_ino)
		return;
	if (getcwd(directory, sizeof(directory)) != NULL)
		environment->set(environment->context, "PWD", directory);
}

static bool is_kept(const char *name, const struct lc_environment *environment, const char *kept)
{
	static char value[131072]; /* more than execve(2) takes */
	size_t length = strlen(name);

	for (const char *at = kept; at != NULL; at = *at == ',' ? at + 1 : NULL) {
		size_t part = strcspn(at, ",");
		if (part == length && strncmp(at, name, length) == 0)
			return environment->get(environment->context, name, value, sizeof(value));
		at += part;
	}
	return false;
}

/* What the site takes out, names with colons between. */
static void take_out(const char *names, const struct lc_environment *environment, const char *kept)
{
	char name[NAME_MAX + 1];

	for (const char *at = names; *at != '\0'; at += *at == ':') {
		size_t length = strcspn(at, ":");
		if (length > 0 && length < sizeof(name)) {
			memcpy(name, at, length);
			name[length] = '\0';
			if (lc_image_may_set(name) && !is_kept(name, environment, kept))
				environment->unset(environment->context, name);
		}
		at += length;
	}
}

void lc_apply_environment(const struct lc_container *container,
			  const struct lc_environment *environment, const char *kept)
{
	bool has_path = false;

	for (char **entry = container->environment; *entry != NULL; entry++) {
		char *equals = strchr(*entry, '=');
		*equals = '\0';
		if (strcmp(*entry, UNSET_VARIABLE) == 0) {
			take_out(equals + 1, environment, kept);
		} else if (lc_image_may_set(*entry) && !is_kept(*entry, environment, kept)) {
			has_path |= strcmp(*entry, "PATH") == 0;
			environment->set(environment->context, *entry, equals + 1);
		}
		*equals = '=';
	}
	if (!has_path)
		complete_path(environment);
	correct_places(environment);
	correct_pwd(environment);
	/* As ch-run has it: programs ask for it to know whether they are in a container. */
	environment->set(environment->context, "CH_RUNNING", "Weird Al Yankovic");
}

static bool get_own(void *context, const char *name, char *value, size_t size)
{
	const char *found = getenv(name);

	(void)context;
	if (found == NULL || strlen(found) >= size)
		return false;
	strcpy(value, found);
	return true;
}

static void set_own(void *context, const char *name, const char *value)
{
	(void)context;
	setenv(name, value, 1);
}

static void unset_own(void *context, const char *name)
{
	(void)context;
	unsetenv(name);
}

const struct lc_environment lc_own_environment = {get_own, set_own, unset_own, NULL};
