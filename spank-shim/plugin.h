/* What the parts of the plugin share: its settings, its variables, and how users hear of it. */
#ifndef LAYERCAKE_PLUGIN_H
#define LAYERCAKE_PLUGIN_H

#include "shared/error.h"

#include <stdbool.h>

#define SPEC_VARIABLE "SLURM_LAYERCAKE_SPEC"   /* travels with the environment of job and step */
#define SPEC_CONTROL "LAYERCAKE_SPEC"	       /* SPANK_LAYERCAKE_SPEC for the job's prolog */
#define BATCH_VARIABLE "SLURM_LAYERCAKE_BATCH" /* "1": the batch script is inside, too */

/* Which commands look images up before the job is queued. */
enum plugin_check { CHECK_SBATCH, CHECK_ALL, CHECK_NO };

/*
 * Reads what plugstack.conf says: socket=PATH, policy=PATH, check=sbatch|all|no. Returns 0, or -1,
 * and Slurm's log has why.
 */
int plugin_read_arguments(int argc, char **argv);

const char *plugin_socket_path(void);
const char *plugin_run_directory(void); /* where the socket is */
const char *plugin_rules_path(void);
enum plugin_check plugin_check(void);

/* A variable that is 1 or 0; unset and empty leave `on` as it is. Returns 0, or -1 with an error.
 */
int plugin_read_switch(const char *name, bool *on, struct lc_error *error);

/* Tells the user one line. */
void plugin_say(const char *line);

#endif
