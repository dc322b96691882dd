/**
 * Makes one squashfs image of what a user has, and proves it: {@link org.layercake.pack.Packing}
 * takes a directory, a tar, an image in layers or a squashfs file, plain or compressed; {@link
 * org.layercake.pack.Registry} has images of registries fetched; {@link org.layercake.pack.Prover}
 * reads an image back whole.
 *
 * <p>A source is hostile: what it says of itself is bounded while it is read, its links are
 * followed in a tree in memory ({@code FileTree}) alone, and nothing of it is unpacked. Programs
 * run beside this one ({@code Program}), and write into one directory that is gone at the end
 * ({@link org.layercake.pack.Scratch}).
 *
 * <p>May use {@code org.layercake.store}, of which it takes values and failures, and not {@code
 * org.layercake.cli}.
 */
package org.layercake.pack;
