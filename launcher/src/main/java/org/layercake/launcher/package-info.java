/**
 * The node's launcher: from jobs' requests to images on the node, mounts and holders.
 *
 * <p>Locks of the images' side, and what each guards. A thread that holds one takes only such as
 * are below it:
 *
 * <ol>
 *   <li>{@link org.layercake.launcher.ImageCache}: which images are here, on their way and leased,
 *       and by it that their files are what it says. Files are made, renamed and removed under it.
 *   <li>{@link org.layercake.launcher.ImageFill}: what of one image is there, and its readers.
 *   <li>{@link org.layercake.launcher.ReaderPipe}: one descriptor.
 * </ol>
 *
 * <p>On their own, taking none of the others: {@link org.layercake.launcher.ImageMounts} guards who
 * holds which mount, {@link org.layercake.launcher.Images} the connection to the store, {@link
 * org.layercake.launcher.StartRecord} and {@link org.layercake.launcher.FetchProgress} themselves.
 *
 * <p>Locks of the jobs' side, likewise:
 *
 * <ol>
 *   <li>a job of {@link org.layercake.launcher.Jobs}: its table entry, its state file and its note.
 *   <li>{@code Jobs.admission}: containers are counted and one is added.
 *   <li>{@link org.layercake.launcher.Container}: which of its futures exist.
 *   <li>{@link org.layercake.launcher.Holder}: whether its descriptors are open, and who sends
 *       them.
 *   <li>Each alone, for a few instructions: {@link org.layercake.launcher.Releases}, {@link
 *       org.layercake.launcher.Session}, {@link org.layercake.launcher.Slurm}, {@code
 *       Server.waiting}, {@link org.layercake.launcher.EventLayout}.
 * </ol>
 *
 * <p>Under a job's lock small files of the run directory are written, which is in memory. A
 * container tells its job of its end without its own lock. The thread that accepts clients takes
 * only {@code Server.waiting} and a session's. What counts when requests contradict each other is
 * when they came, {@code Jobs.arrival}, not when a thread gets to them.
 *
 * <p>No lock is held over what may wait: the network, a process, a FIFO, another thread. Waiting is
 * for futures, which are completed with a failure when a task ends otherwise than it should, by an
 * {@link java.lang.Error} too.
 */
package org.layercake.launcher;
