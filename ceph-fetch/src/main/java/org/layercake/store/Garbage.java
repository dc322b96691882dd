package org.layercake.store;

/**
 * What a collection did in a domain, or would do.
 *
 * @param images that were removed
 * @param objects that were removed: manifests and chunks
 * @param bytes that were removed
 * @param waitingBytes that no tag needs either, and whose grace is not over
 */
public record Garbage(String domain, long images, long objects, long bytes, long waitingBytes) {}
