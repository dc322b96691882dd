/*
 * Stands in for the libslurm of Slurm 25.11 and later, and for the slurmstepd that it asks, as
 * src/common/stepd_api.c and src/slurmd/slurmstepd/req.c have them: for a job without namespaces of
 * its own the old question is never answered, and the new one is, with none.
 *
 * What the job has is in NAMESPACES: words of "user", "mount" and "fail".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <slurm/slurm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { PROTOCOL = 0x2c00, MOST = 4 };

struct entry {
	int type;
	int fd;
};

struct list {
	void *elements[MOST];
	int count;
};

int slurm_stepd_connect(const char *directory, const char *node, slurm_step_id_t *step,
			uint16_t *protocol);
uid_t slurm_stepd_get_uid(int fd, uint16_t protocol);
int slurm_stepd_add_extern_pid(int fd, uint16_t protocol, pid_t pid);
int slurm_stepd_get_namespace_fd(int fd, uint16_t protocol);
int slurm_stepd_get_namespace_fds(int fd, void *list, uint16_t protocol);
/* slurm.h declares these with types that differ between releases. */
void *create_list(void (*destroy)(void *element)) __asm__("slurm_list_create");
void *pop_list(void *list) __asm__("slurm_list_pop");

int slurm_stepd_connect(const char *directory, const char *node, slurm_step_id_t *step,
			uint16_t *protocol)
{
	(void)directory;
	*protocol = PROTOCOL;
	return strcmp(node, "n1") == 0 && step->job_id == 42 ? open("/dev/null", O_RDWR) : -1;
}

uid_t slurm_stepd_get_uid(int fd, uint16_t protocol)
{
	return fd >= 0 && protocol == PROTOCOL ? 1001 : (uid_t)-1;
}

int slurm_stepd_add_extern_pid(int fd, uint16_t protocol, pid_t pid)
{
	return fd >= 0 && protocol == PROTOCOL && pid == getpid() ? 0 : -1;
}

int slurm_stepd_get_namespace_fd(int fd, uint16_t protocol)
{
	(void)protocol;
	if (strstr(getenv("NAMESPACES"), "mount") != NULL)
		return open("/proc/self/ns/mnt", O_RDONLY);
	pause(); /* in read(2), whose other end says nothing */
	return fd;
}

static void add(struct list *list, int type, const char *path)
{
	struct entry *entry = malloc(sizeof(*entry));

	*entry = (struct entry){.type = type, .fd = open(path, O_RDONLY)};
	list->elements[list->count++] = entry;
}

int slurm_stepd_get_namespace_fds(int fd, void *list, uint16_t protocol)
{
	const char *namespaces = getenv("NAMESPACES");

	if (fd < 0 || protocol != PROTOCOL || strstr(namespaces, "fail") != NULL)
		return -1;
	if (strstr(namespaces, "user") != NULL)
		add(list, CLONE_NEWUSER, "/proc/self/ns/user");
	if (strstr(namespaces, "mount") != NULL)
		add(list, CLONE_NEWNS, "/proc/self/ns/mnt");
	return ((struct list *)list)->count;
}

void *create_list(void (*destroy)(void *element))
{
	return destroy == NULL ? calloc(1, sizeof(struct list)) : NULL;
}

void *pop_list(void *list)
{
	struct list *all = list;

	return all->count > 0 ? all->elements[--all->count] : NULL;
}
