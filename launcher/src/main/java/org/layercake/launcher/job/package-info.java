/**
 * The node's jobs: which of them has which container, and what holds its namespaces.
 *
 * <p>{@link org.layercake.launcher.job.Jobs} is the way in. Locks, in the order in which a thread
 * may take them:
 *
 * <ol>
 *   <li>{@link org.layercake.launcher.job.Job}: its table entry, its state file and its note. Small
 *       files of the run directory, which is in memory, are written under it.
 *   <li>{@code Containers.admission}: containers are counted and one is added.
 *   <li>{@link org.layercake.launcher.job.Container}: which of its futures exist.
 *   <li>{@link org.layercake.launcher.job.Holder}: whether its descriptors are open, and who sends
 *       them.
 *   <li>in {@link org.layercake.launcher.job.Changes} one for each user, while a layer of that user
 *       is made: seconds, on a slow disk. Nothing else is held then.
 *   <li>each alone, for a few instructions: {@link org.layercake.launcher.job.Starts}, {@link
 *       org.layercake.launcher.job.ContainerTimes}, {@link org.layercake.launcher.job.Releases},
 *       {@link org.layercake.launcher.job.Allocations} and {@link org.layercake.launcher.job.Once}.
 * </ol>
 *
 * <p>A container tells its job of its end without its own lock. What counts when requests
 * contradict each other is when they came, {@code Jobs.arrival}, not when a thread gets to them.
 */
package org.layercake.launcher.job;
