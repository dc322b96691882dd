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
 * <p>No lock is held over what may wait: the network, a process, a FIFO, another thread. Waiting is
 * for futures, which are completed with a failure when a task ends otherwise than it should, by an
 * {@link java.lang.Error} too.
 */
package org.layercake.launcher;
