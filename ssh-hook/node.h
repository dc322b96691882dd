/* What both programs know of the node they run on. */
#ifndef LAYERCAKE_NODE_H
#define LAYERCAKE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LC_RUN_DIRECTORY "/run/layercake"

/* The job in a variable of the environment, as pam_slurm_adopt sets it; 0 when there is none. */
uint32_t lc_job_of(const char *value);

/*
 * Whether the job of that user has a container here, as the launcher has noted it: this must be
 * known when the launcher cannot be asked. Job 0: whether any of the user's jobs has one, and true
 * when that cannot be told.
 */
bool lc_has_container(const char *run_directory, uint32_t job, uint32_t uid);

/* The launcher's socket, or NULL when the name of the run directory is too long. */
const char *lc_socket_path(const char *run_directory, char *path, size_t size);

#endif
