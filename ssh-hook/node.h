/* What both programs know of the node they run on. */
#ifndef LAYERCAKE_NODE_H
#define LAYERCAKE_NODE_H

#include <stddef.h>
#include <stdint.h>

#define LC_RUN_DIRECTORY "/run/layercake"

/* The job in a variable of the environment, as pam_slurm_adopt sets it; 0 when there is none. */
uint32_t lc_job_of(const char *value);

/* The launcher's socket, or NULL when the name of the run directory is too long. */
const char *lc_socket_path(const char *run_directory, char *path, size_t size);

#endif
