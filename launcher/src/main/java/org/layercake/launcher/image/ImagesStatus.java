package org.layercake.launcher.image;

import java.time.Instant;
import java.util.List;
import java.util.Set;

/**
 * The node's images at one moment.
 *
 * @param store where they come from
 * @param isConnected whether the launcher has a connection there
 * @param budgetBytes what the cache may hold
 * @param total how images have come since the launcher started
 */
public record ImagesStatus(
    String store,
    boolean isConnected,
    long budgetBytes,
    Bytes total,
    List<Cached> cached,
    List<Filling> filling,
    List<Served> servers) {

  /**
   * A complete image of the cache.
   *
   * @param users whose jobs have it
   */
  public record Cached(ImageKey image, long bytes, Instant lastUsed, Set<Long> users) {}

  /**
   * An image that is not complete.
   *
   * @param trouble why it does not come; empty if it does
   */
  public record Filling(ImageKey image, long bytes, long missing, String trouble) {}

  /**
   * An image server.
   *
   * @param holds how many containers have its mount
   * @param memoryBytes that are its own; 0 when that cannot be read
   */
  public record Served(ImageKey image, long uid, long pid, int holds, long memoryBytes) {}

  /** What all complete images and the ones on their way take. */
  public long bytes() {
    return cached.stream().mapToLong(Cached::bytes).sum()
        + filling.stream().mapToLong(Filling::bytes).sum();
  }
}
