/* Becoming a process of the job. */
#ifndef LAYERCAKE_ADOPT_H
#define LAYERCAKE_ADOPT_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Moves this process into the job's extern step, so that the job pays for it and Slurm ends it with
 * the job. Proves on the way that the job is on this node and belongs to uid. Call before the first
 * fork. Returns the job's own mount namespace, or -1 when the job has none.
 */
int adopt_into_extern_step(uint32_t job, uid_t uid, const char *spool);

#endif
