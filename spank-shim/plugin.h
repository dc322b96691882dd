/* What the parts of the plugin share: its settings, its variables, and how users hear of it. */
#ifndef LAYERCAKE_PLUGIN_H
#define LAYERCAKE_PLUGIN_H

#define SPEC_VARIABLE "SLURM_LAYERCAKE_SPEC"   /* travels with the environment of job and step */
#define SPEC_CONTROL "LAYERCAKE_SPEC"	       /* SPANK_LAYERCAKE_SPEC for the job's prolog */
#define BATCH_VARIABLE "SLURM_LAYERCAKE_BATCH" /* "1": the batch script is inside, too */

/* Reads what plugstack.conf says: socket=PATH. Returns 0, or -1, and Slurm's log has why. */
int plugin_read_arguments(int argc, char **argv);

const char *plugin_socket_path(void);
const char *plugin_run_directory(void); /* where the socket is */

/* Tells the user one line. */
void plugin_say(const char *line);

#endif
