/*
 * holder: makes the container of a job on this node, and stays as the process that keeps it.
 *
 * The launcher starts it as root, with /dev/null, a pipe and a pipe as stdin, stdout and stderr. It
 * becomes a process of the job (adopt.c), prepares the new root directory in a mount namespace of
 * its own (stage.c), becomes the user for good, and executes ch-run, which executes `pause` inside
 * the container; `pause` says "ready" on stdout. There is no fork on the way: the process the
 * launcher started is the one that holds the namespaces.
 */
#define _GNU_SOURCE
#include "adopt.h"
#include "binds.h"
#include "common/die.h"
#include "common/session.h"
#include "devices.h"
#include "mounts.h"
#include "plan.h"
#include "replace.h"
#include "rules.h"
#include "shared/descriptors.h"
#include "shared/spec.h"
#include "sources.h"
#include "stage.h"
#include "user.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PAUSE_FD = 9, /* how ch-run finds a program that is not in the image */
};

static uint32_t parse_number(const char *name, const char *text)
{
	char *end;

	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value >= UINT32_MAX)
		die(EXIT_REQUEST, "--%s \"%s\" is not a number", name, text);
	return (uint32_t)value;
}

/* Paths are any bytes, but a JVM's program arguments are not: mounts come as specs have them. */
static struct bind *add_mount(struct plan *plan, bool site, const char *text)
{
	struct lc_mount mount;

	if (lc_spec_parse_mount(text, strlen(text), &mount) < 0 || mount.image)
		die(EXIT_REQUEST,
		    "cannot read the mount \"%s\": it is SOURCE:DESTINATION:MODE, MODE being ro or "
		    "rw "
		    "and %%XX a byte, not NUL",
		    text);
	if (mount.source[0] != '/' || mount.destination[0] != '/')
		die(EXIT_REQUEST, "cannot mount \"%s\" on \"%s\": not absolute paths", mount.source,
		    mount.destination);
	add_bind(plan, (struct bind){.source = mount.source,
				     .destination = mount.destination,
				     .writable = mount.writable,
				     .site = site});
	return &plan->binds[plan->bind_count - 1];
}

static void add_image(struct plan *plan, bool site, const char *text)
{
	struct bind *bind = add_mount(plan, site, text);

	if (bind->writable)
		die(EXIT_REQUEST, "cannot mount an image on \"%s\" to be written to",
		    bind->destination);
	bind->image = true;
}

/* The source is made when there is a stage for it. */
static void add_scratch(struct plan *plan, const char *destination)
{
	if (destination[0] != '/')
		die(EXIT_REQUEST, "cannot make \"%s\" writable: not an absolute path", destination);
	add_bind(plan,
		 (struct bind){
		     .destination = destination, .writable = true, .site = true, .scratch = true});
}

static void add_library_directory(struct plan *plan, const char *text)
{
	char *directory = lc_spec_parse_value(text, strlen(text));

	if (directory == NULL || directory[0] != '/')
		die(EXIT_REQUEST, "cannot read the directory of libraries \"%s\"", text);
	add_text(&plan->library_directories, directory);
}

static void parse_arguments(int argc, char **argv, struct plan *plan, uid_t *uid)
{
	enum {
		JOB,
		UID,
		SPOOL,
		IMAGE,
		STAGE,
		PAUSE,
		CH_RUN,
		ROOT,
		WRITABLE,
		TIME_ZONE,
		HIDE,
		SCRATCH_SIZE,
		SCRATCH,
		MOUNT,
		SITE_MOUNT,
		IMAGE_MOUNT,
		SITE_IMAGE_MOUNT,
		DIRECTORY,
		NEEDED_MOUNT,
		REPLACE,
		LIBRARY_DIRECTORY,
		USER,
		MOUNT_RULE
	};
	static const struct option options[] = {
	    {"job", required_argument, NULL, JOB},
	    {"uid", required_argument, NULL, UID},
	    {"spool", required_argument, NULL, SPOOL},
	    {"image", required_argument, NULL, IMAGE},
	    {"stage", required_argument, NULL, STAGE},
	    {"pause", required_argument, NULL, PAUSE},
	    {"ch-run", required_argument, NULL, CH_RUN},
	    {"root", no_argument, NULL, ROOT},
	    {"writable", no_argument, NULL, WRITABLE},
	    {"time-zone", no_argument, NULL, TIME_ZONE},
	    {"hide", required_argument, NULL, HIDE},
	    {"scratch-size", required_argument, NULL, SCRATCH_SIZE},
	    {"scratch", required_argument, NULL, SCRATCH},
	    {"mount", required_argument, NULL, MOUNT},
	    {"site-mount", required_argument, NULL, SITE_MOUNT},
	    {"image-mount", required_argument, NULL, IMAGE_MOUNT},
	    {"site-image-mount", required_argument, NULL, SITE_IMAGE_MOUNT},
	    {"directory", required_argument, NULL, DIRECTORY},
	    {"needed-mount", required_argument, NULL, NEEDED_MOUNT},
	    {"replace", required_argument, NULL, REPLACE},
	    {"library-directory", required_argument, NULL, LIBRARY_DIRECTORY},
	    {"user", required_argument, NULL, USER},
	    {"mount-rule", required_argument, NULL, MOUNT_RULE},
	    {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (option) {
		case JOB:
			plan->job = parse_number("job", optarg);
			break;
		case UID:
			*uid = parse_number("uid", optarg);
			break;
		case SPOOL:
			plan->spool = optarg;
			break;
		case IMAGE:
			plan->image = optarg;
			break;
		case STAGE:
			plan->stage = optarg;
			break;
		case PAUSE:
			plan->pause = optarg;
			break;
		case CH_RUN:
			plan->ch_run = optarg;
			break;
		case ROOT:
			plan->root_inside = true;
			break;
		case WRITABLE:
			plan->writable = true;
			break;
		case TIME_ZONE:
			plan->time_zone = true;
			break;
		case HIDE:
			add_text(&plan->hide, optarg);
			break;
		case SCRATCH_SIZE:
			plan->scratch_size = optarg;
			break;
		case SCRATCH:
			add_scratch(plan, optarg);
			break;
		case MOUNT:
		case SITE_MOUNT:
			add_mount(plan, option == SITE_MOUNT, optarg);
			break;
		case IMAGE_MOUNT:
		case SITE_IMAGE_MOUNT:
			add_image(plan, option == SITE_IMAGE_MOUNT, optarg);
			break;
		case DIRECTORY:
			add_mount(plan, true, optarg)->yields = true;
			break;
		case NEEDED_MOUNT:
			add_mount(plan, false, optarg)->needed = true;
			break;
		case REPLACE:
			add_replacement(plan, optarg);
			break;
		case LIBRARY_DIRECTORY:
			add_library_directory(plan, optarg);
			break;
		case USER:
			add_text(&plan->users, optarg);
			break;
		case MOUNT_RULE:
			add_mount_rule(plan, optarg);
			break;
		default:
			exit(EXIT_REQUEST); /* getopt_long has said why */
		}
	}
	if (optind != argc || plan->job == 0 || *uid == 0 || plan->spool == NULL ||
	    plan->image == NULL || plan->stage == NULL || plan->pause == NULL ||
	    plan->ch_run == NULL)
		die(EXIT_REQUEST,
		    "usage: holder --job J --uid U --spool DIR --image MOUNT --stage DIR --pause "
		    "PATH --ch-run PATH [--root] [--writable] [--time-zone] [--hide DIR]... "
		    "[--scratch-size SIZE] [--scratch DESTINATION]... "
		    "[--mount|--site-mount|--directory SOURCE:DESTINATION:MODE]... "
		    "[--image-mount|--site-image-mount MOUNT:DESTINATION:ro]... "
		    "[--needed-mount SOURCE:DESTINATION:MODE]... [--replace SOURCE:/NAME:ro]... "
		    "[--library-directory DIR]... [--user NAME]... "
		    "[--mount-rule ACTION:REFUSAL:PATH...]...");
}

/* Undoes what a daemon's life has left in the process. */
static void start_clean(void)
{
	start_own_session();
	if (lc_close_from(STDERR_FILENO + 1) < 0)
		die(EXIT_INTERNAL, "cannot close file descriptors: %s", strerror(errno));
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(EXIT_INTERNAL, "cannot reset oom_score_adj: %s", strerror(errno));
	close(fd);
}

static int take_root(const char *image)
{
	int mount = take_mount(image);

	if (mount < 0)
		die(errno == ENOSYS ? EXIT_MISCONFIGURED : EXIT_INPUT,
		    "cannot take the image's mount \"%s\": %s", image, strerror(errno));
	return mount;
}

static int open_pause(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(EXIT_MISCONFIGURED, "cannot open \"%s\": %s (reinstall LayerCake)", path,
		    strerror(errno));
	return fd;
}

static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *text(const char *format, ...)
{
	char *result;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&result, format, arguments) < 0)
		die(EXIT_INTERNAL, "out of memory");
	va_end(arguments);
	return result;
}

_Noreturn static void run_ch_run(const struct plan *plan, int pause)
{
	char **argv = calloc(2 * plan->bind_count + 16, sizeof(char *));
	const char *stage = plan->stage;
	size_t n = 0;

	if (argv == NULL)
		die(EXIT_INTERNAL, "out of memory");
	argv[n++] = text("%s", plan->ch_run);
	argv[n++] = text("--storage=%s/empty", stage);
	argv[n++] = text("--no-passwd");
	if (plan->writable)
		argv[n++] = text("--write");
	if (!plan->writable) { /* else they are in the image, where programs may replace them */
		argv[n++] = text("--bind=%s/passwd:/etc/passwd", stage);
		argv[n++] = text("--bind=%s/group:/etc/group", stage);
	}
	if (has_own_devices(plan))
		argv[n++] = text("--bind=%s/dev:" DEVICES, stage);
	for (size_t i = 0; i < plan->bind_count; i++)
		if (plan->binds[i].fd >= 0)
			argv[n++] = text("--bind=%s/binds/%zu:%s", stage, i, plan->binds[i].inside);
	if (plan->root_inside) {
		argv[n++] = text("--uid=0");
		argv[n++] = text("--gid=0");
	}
	argv[n++] = text("%s/root", stage);
	argv[n++] = text("--");
	argv[n++] = text("/proc/self/fd/%d", PAUSE_FD);
	char *environment[] = {
	    text("USER=%s", plan->user.name),
	    text("HOME=%s", plan->user.home),
	    text("PATH=/usr/local/bin:/usr/bin:/bin"),
	    NULL,
	};
	if (dup2(pause, PAUSE_FD) < 0)
		die(EXIT_INTERNAL, "cannot arrange file descriptors: %s", strerror(errno));
	execve(plan->ch_run, argv, environment);
	die(EXIT_MISCONFIGURED, "cannot run \"%s\": %s (install charliecloud-runtime)",
	    plan->ch_run, strerror(errno));
}

int main(int argc, char **argv)
{
	struct plan plan = {0};
	uid_t uid = 0;

	parse_arguments(argc, argv, &plan, &uid);
	start_clean();
	int job_namespace = adopt_into_extern_step(plan.job, uid, plan.spool);
	find_user(uid, &plan.user);
	int pause = open_pause(plan.pause);
	int image = take_root(plan.image);
	take_images(&plan);
	enter_private_mounts(job_namespace);
	stage_container(&plan, image);
	become_user(&plan.user);
	run_ch_run(&plan, pause);
}
