/* Where a task of a step runs. */
#ifndef LAYERCAKE_TASK_H
#define LAYERCAKE_TASK_H

#include <slurm/spank.h>
#include <stdbool.h>

/*
 * In the task, as the user: leaves it on the host, or waits for its container and enters it; ends
 * the task when that cannot be done or told. With `expected` an option has asked for a container.
 */
void task_place(spank_t spank, bool expected);

#endif
