/*
 * The SPANK plugin: srun, sbatch and salloc learn --ch-image and its kin, and the tasks of such
 * steps run in a container. All work that can take time or fail is the launcher's;
 * this is what slurmstepd and the commands must do themselves.
 *
 *   slurm_spank_init            options; what the allocation has asked for
 *   slurm_spank_init_post_opt   commands: options checked and published as one spec
 *   slurm_spank_job_prolog      node: the launcher hears of the job and starts to fetch
 *   slurm_spank_task_post_fork  node, extern step: the launcher may start the container
 *   slurm_spank_task_init       task: waits for the container and enters it, or ends the task
 *   slurm_spank_job_epilog      node: the launcher clears up
 *
 * A hook of the node that fails drains the node. So they never fail, with one exception: task_init
 * ends its task by itself, which does no harm to the node, and holds even if plugstack.conf says
 * "optional". A task that asked for a container never runs on the host.
 */
/* Slurm finds the hooks by name; all else stays hidden. Before others include it. */
#pragma GCC visibility push(default)
#include <slurm/spank.h>
SPANK_PLUGIN(layercake, 1)
#pragma GCC visibility pop

#include "node.h"
#include "options.h"
#include "plugin.h"
#include "task.h"

/* For layercake-check, which has no other way to read it out of the file. */
#define TEXT_OF(macro) TEXT(macro)
#define TEXT(macro) #macro
static const char built_for[] __attribute__((used)) =
    "SLURM_VERSION_NUMBER=" TEXT_OF(SLURM_VERSION_NUMBER);

int slurm_spank_init(spank_t spank, int argc, char **argv)
{
	spank_context_t context = spank_context();

	if (plugin_read_arguments(argc, argv) < 0)
		return -1;
	if (context != S_CTX_LOCAL && context != S_CTX_ALLOCATOR && context != S_CTX_REMOTE)
		return 0;
	if (options_register(spank) < 0)
		return -1;
	if (context != S_CTX_REMOTE)
		options_inherit(context);
	return 0;
}

int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv)
{
	spank_context_t context = spank_context();

	(void)argc;
	(void)argv;
	return context == S_CTX_REMOTE ? 0 : options_publish(spank, context);
}

int slurm_spank_job_prolog(spank_t spank, int argc, char **argv)
{
	(void)spank;
	node_announce(argc, argv);
	return 0;
}

int slurm_spank_task_post_fork(spank_t spank, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	node_start(spank);
	return 0;
}

int slurm_spank_task_init(spank_t spank, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	task_place(spank, options_expect_container());
	return 0;
}

int slurm_spank_job_epilog(spank_t spank, int argc, char **argv)
{
	(void)spank;
	node_release(argc, argv);
	return 0;
}
