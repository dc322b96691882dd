package org.layercake.store;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * What the images of a domain take.
 *
 * @param ownBytes by image: of chunks that no other image of the domain has
 * @param usedBytes of all images together, each chunk once
 */
public record Usage(List<Tagged> images, Map<Digest, Long> ownBytes, long usedBytes) {
  /** Reads the manifest of an image. */
  interface Manifests {
    Manifest of(Tagged image) throws StoreException;
  }

  /** Adds up what images take. Of each, only what its chunks are stays in memory. */
  static Usage of(List<Tagged> images, Manifests manifests) throws StoreException {
    Map<Digest, Map<Digest, Integer>> chunks = new HashMap<>(); // of each image, by digest
    Map<Digest, Integer> holders = new HashMap<>(); // of each chunk
    Map<Digest, Integer> all = new HashMap<>();
    for (Tagged image : images) {
      if (!chunks.containsKey(image.digest())) {
        Map<Digest, Integer> own = new HashMap<>();
        manifests.of(image).chunks().forEach(chunk -> own.put(chunk.digest(), chunk.length()));
        own.keySet().forEach(chunk -> holders.merge(chunk, 1, Integer::sum));
        chunks.put(image.digest(), own);
        all.putAll(own);
      }
    }
    Map<Digest, Long> ownBytes = new HashMap<>();
    chunks.forEach((image, own) -> ownBytes.put(image, sum(own, chunk -> holders.get(chunk) == 1)));
    return new Usage(images, ownBytes, sum(all, chunk -> true));
  }

  private static long sum(Map<Digest, Integer> chunks, Predicate<Digest> wanted) {
    return chunks.entrySet().stream()
        .filter(chunk -> wanted.test(chunk.getKey()))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }
}
