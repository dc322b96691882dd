/*
 * What the launcher of a node is told of jobs. None of these fail: a hook of the node that does
 * drains the node.
 */
#ifndef LAYERCAKE_NODE_H
#define LAYERCAKE_NODE_H

#include <slurm/spank.h>

/* In the job's prolog: that the job is coming, and a note of it for who cannot ask. */
void node_announce(int argc, char **argv);

/* In a step: if it is the extern one, that the job's container may be started. */
void node_start(spank_t spank);

/* In the job's epilog. */
void node_release(int argc, char **argv);

#endif
