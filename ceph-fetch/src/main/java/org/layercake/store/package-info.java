/**
 * The image store: images as digest-named chunks in Ceph (or a directory), read and written.
 *
 * <p>{@link org.layercake.store.ImageStore} is the way in, and only says which of the classes below
 * it does what: {@code Tags} move tags and share names, {@code Resolver} finds the image that a
 * name means, {@link org.layercake.store.ImagePush} stores one, {@code ChunkReader} reads one for a
 * {@link org.layercake.store.Filler}, {@code GarbageCollector} removes what nothing needs. {@code
 * ObjectNames} makes and reads the name of everything that is stored. {@code ObjectStore} is what
 * they need of a back end; {@code RadosStore} and {@code DirectoryStore} are the two there are.
 * {@link org.layercake.store.Manifest} says what an image consists of.
 *
 * <p>Everything read from a store is hostile until verified: sizes are bounded, manifests are
 * parsed strictly, every chunk is checked against its digest before anyone sees it.
 *
 * <p>May use no other package of ours: nothing here knows of Slurm, of a cache, of how an image is
 * packed or run, or of a command. Nor does any class here know {@code ImageStore}.
 */
package org.layercake.store;
