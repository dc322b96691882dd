package org.layercake.store;

import java.util.Optional;

/**
 * What a collection did in a domain, or would do.
 *
 * @param images that were removed
 * @param objects that were removed: manifests and chunks
 * @param bytes that were removed
 * @param waitingBytes that no tag needs either, and whose grace is not over
 * @param problem why not all was removed that could be; empty when all went well
 */
public record Garbage(
    String domain,
    long images,
    long objects,
    long bytes,
    long waitingBytes,
    Optional<StoreException> problem) {
  Garbage(String domain, long images, long objects, long bytes, long waitingBytes) {
    this(domain, images, objects, bytes, waitingBytes, Optional.empty());
  }
}
