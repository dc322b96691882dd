/*
 * --ch-image, --ch-mount and their kin: in srun, sbatch and salloc they come to one
 * spec, together with what the environment and the allocation say.
 */
#ifndef LAYERCAKE_OPTIONS_H
#define LAYERCAKE_OPTIONS_H

#include <slurm/spank.h>
#include <stdbool.h>

/* Returns 0 or -1. */
int options_register(spank_t spank);

/* In a command: what the allocation has asked for that it runs in. */
void options_inherit(spank_context_t context);

/* In a command, all options being read: publishes the spec, or says what is wrong and returns -1.
 */
int options_publish(spank_t spank, spank_context_t context);

/* In slurmstepd: whether an option has arrived that the spec must answer. */
bool options_expect_container(void);

#endif
