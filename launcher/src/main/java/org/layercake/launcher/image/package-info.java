/**
 * From an image's name to a mount on this node: resolved, fetched into the node cache, served.
 *
 * <p>{@link org.layercake.launcher.image.Images} is the way in. Locks, in the order in which a
 * thread may take them:
 *
 * <ol>
 *   <li>{@link org.layercake.launcher.image.ImageCache}: which images are here, on their way and
 *       leased, and by it that their files are what it says. Files are made, renamed and removed
 *       under it.
 *   <li>{@link org.layercake.launcher.image.ImageFill}: what of one image is there, and its
 *       readers.
 *   <li>{@link org.layercake.launcher.image.ReaderPipe}: one descriptor.
 * </ol>
 *
 * <p>On their own, taking none of the others: {@link org.layercake.launcher.image.ImageMounts}
 * guards who holds which mount, {@link org.layercake.launcher.image.Images} the connection to the
 * store, {@link org.layercake.launcher.image.FetchProgress} itself. {@link
 * org.layercake.launcher.image.Seeds} looks for one image's chunks at a time, under a lock that
 * nothing else needs.
 */
package org.layercake.launcher.image;
