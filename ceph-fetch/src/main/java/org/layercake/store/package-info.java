/**
 * The image store: images as digest-named chunks in Ceph (or a directory), read and written.
 *
 * <p>{@link org.layercake.store.ImageStore} is the way in. Nothing here knows of Slurm, of a cache
 * or of how a container is run. Everything read from a store is hostile until verified: sizes are
 * bounded, manifests are parsed strictly, every chunk is checked against its digest before anyone
 * sees it.
 */
package org.layercake.store;
