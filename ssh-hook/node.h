/* What both programs know of the node they run on. */
#ifndef LAYERCAKE_NODE_H
#define LAYERCAKE_NODE_H

#include <stdint.h>
#include <stdio.h>

/*
 * The job of this session: the one into whose cgroup pam_slurm_adopt has put it, which its user
 * cannot change. 0 when it is in none, and when its cgroup has the job's SLUID for a name, as with
 * Slurm 26.05 and cgroup v2: the launcher knows which job that is. Variables of the environment are
 * not believed.
 */
uint32_t lc_session_job(void);

/* The same of a file like /proc/self/cgroup. */
uint32_t lc_job_of_cgroups(FILE *cgroups);

#endif
