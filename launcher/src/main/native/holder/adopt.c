/*
 * slurmstepd's own interface for foreign processes, the one pam_slurm_adopt uses. libslurm exports
 * it, but declares it in no public header; hence the prototypes here, and dlopen(3), so that a node
 * without it gets a message and not a dynamic linker's error.
 */
#define _GNU_SOURCE
#include "adopt.h"
#include "common/die.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <slurm/slurm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One of a job's namespaces: ns_fd_map_t in Slurm's src/common/stepd_api.h. */
struct job_namespace {
	int type; /* of clone(2) */
	int fd;
};

struct stepd_calls {
	int (*connect)(const char *directory, const char *node, slurm_step_id_t *step,
		       uint16_t *protocol);
	uid_t (*get_uid)(int fd, uint16_t protocol);
	int (*add_extern_pid)(int fd, uint16_t protocol, pid_t pid);
	int (*get_namespace_fd)(int fd, uint16_t protocol);
	/* Since Slurm 25.11, where the call above waits for ever for a job without a namespace. */
	int (*get_namespace_fds)(int fd, void *list, uint16_t protocol);
	void *(*list_create)(void (*destroy)(void *element));
	void *(*list_pop)(void *list);
};

static void *find_symbol(void *library, const char *name)
{
	void *symbol = dlsym(library, name);

	if (symbol == NULL)
		die(EXIT_MISCONFIGURED, "cannot adopt: " LIBSLURM " has no %s", name);
	return symbol;
}

static struct stepd_calls load_stepd_calls(void)
{
	void *library = dlopen(LIBSLURM, RTLD_NOW | RTLD_LOCAL);

	if (library == NULL)
		die(EXIT_MISCONFIGURED,
		    "cannot adopt: %s (build LayerCake for the Slurm release of this node)",
		    dlerror());
	struct stepd_calls calls = {
	    .connect = find_symbol(library, "slurm_stepd_connect"),
	    .get_uid = find_symbol(library, "slurm_stepd_get_uid"),
	    .add_extern_pid = find_symbol(library, "slurm_stepd_add_extern_pid"),
	    .get_namespace_fds = dlsym(library, "slurm_stepd_get_namespace_fds"),
	};
	if (calls.get_namespace_fds != NULL) {
		calls.list_create = find_symbol(library, "slurm_list_create");
		calls.list_pop = find_symbol(library, "slurm_list_pop");
	} else {
		calls.get_namespace_fd = find_symbol(library, "slurm_stepd_get_namespace_fd");
	}
	return calls;
}

/*
 * The extern step listens on SPOOL/NODE_JOB.STEP. Taking Slurm's name for this node from there
 * needs no slurm.conf, which a node may not even have.
 */
static char *find_node_name(const char *spool, uint32_t job)
{
	char suffix[64], *node = NULL;
	struct dirent *entry;
	DIR *directory = opendir(spool);

	if (directory == NULL)
		die(EXIT_MISCONFIGURED,
		    "cannot read SlurmdSpoolDir \"%s\": %s (set slurm-spool-directory)", spool,
		    strerror(errno));
	int suffix_length = snprintf(suffix, sizeof(suffix), "_%u.%u", job, SLURM_EXTERN_CONT);
	while (node == NULL && (entry = readdir(directory)) != NULL) {
		size_t length = strlen(entry->d_name);
		if (length > (size_t)suffix_length &&
		    strcmp(entry->d_name + length - (size_t)suffix_length, suffix) == 0)
			node = strndup(entry->d_name, length - (size_t)suffix_length);
	}
	closedir(directory);
	if (node == NULL)
		die(EXIT_PERMISSION,
		    "cannot enter job %u: it has no extern step on this node (job not here, or "
		    "PrologFlags=Contain missing in slurm.conf)",
		    job);
	return node;
}

/* The mount namespace of those that a list has, or -1; the others are not ours to enter. */
static int take_mount_namespace(const struct stepd_calls *stepd, void *list)
{
	struct job_namespace *namespace;
	int found = -1;

	while ((namespace = stepd->list_pop(list)) != NULL) {
		if (namespace->type == CLONE_NEWNS && found < 0)
			found = namespace->fd;
		else
			close(namespace->fd);
	}
	return found; /* list and elements go with the process image */
}

/* Returns a descriptor, or -1 when the job has no mount namespace of its own. */
static int get_mount_namespace(const struct stepd_calls *stepd, int fd, uint16_t protocol)
{
	if (stepd->get_namespace_fds == NULL) {
		int namespace = stepd->get_namespace_fd(fd, protocol);
		return namespace > 0 ? namespace : -1;
	}
	void *list = stepd->list_create(NULL);
	/* The host's namespace would show other jobs' private directories. */
	if (stepd->get_namespace_fds(fd, list, protocol) < 0)
		die(EXIT_INTERNAL,
		    "cannot start the container: slurmstepd does not say which mount namespace the "
		    "job has (try again)");
	return take_mount_namespace(stepd, list);
}

int adopt_into_extern_step(uint32_t job, uid_t uid, const char *spool)
{
	struct stepd_calls stepd = load_stepd_calls();
	slurm_step_id_t step = {
	    .job_id = job,
	    .step_id = SLURM_EXTERN_CONT,
	    .step_het_comp = NO_VAL,
	};
	uint16_t protocol = 0;
	char *node = find_node_name(spool, job);
	int fd = stepd.connect(spool, node, &step, &protocol);

	if (fd < 0)
		die(EXIT_PERMISSION, "cannot enter job %u: its extern step is ending", job);
	if (stepd.get_uid(fd, protocol) != uid)
		die(EXIT_PERMISSION, "cannot enter job %u: it is not a job of uid %u", job, uid);
	if (stepd.add_extern_pid(fd, protocol, getpid()) != 0)
		die(EXIT_INTERNAL, "cannot adopt the holder into job %u: slurmstepd refused", job);
	int namespace = get_mount_namespace(&stepd, fd, protocol);
	close(fd);
	free(node);
	return namespace;
}
