/* What both programs know of the node they run on. */
#ifndef LAYERCAKE_NODE_H
#define LAYERCAKE_NODE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define LC_RUN_DIRECTORY "/run/layercake"

/*
 * The job of this session: the one into whose cgroup pam_slurm_adopt has put it, which its user
 * cannot change, else the one in SLURM_JOB_ID; 0 when there is neither.
 */
uint32_t lc_session_job(void);

/* The parts of it: what a variable of the environment says, and a file like /proc/self/cgroup. */
uint32_t lc_job_of_variable(const char *value);
uint32_t lc_job_of_cgroups(FILE *cgroups);

/* The launcher's socket, or NULL when the name of the run directory is too long. */
const char *lc_socket_path(const char *run_directory, char *path, size_t size);

#endif
