package org.layercake.launcher.image;

import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.store.ExitCode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What the images may take of the node: refuses what does not fit, and evicts. */
final class Room {
  private static final Logger log = LoggerFactory.getLogger(Room.class);

  private final CacheLayout layout;
  private final ImageSettings.Limits limits;
  private final int maxChunks;
  // Guarded by the cache, as is all of this.
  private final CachedImages cached;
  private final Leases leases;
  private final Fills fills;

  /**
   * @param maxChunks of all images on their way
   */
  Room(
      CacheLayout layout,
      ImageSettings.Limits limits,
      int maxChunks,
      CachedImages cached,
      Leases leases,
      Fills fills) {
    this.layout = layout;
    this.limits = limits;
    this.maxChunks = maxChunks;
    this.cached = cached;
    this.leases = leases;
    this.fills = fills;
  }

  /**
   * One user's jobs must leave room for those of others.
   *
   * @throws Abort {@link ExitCode#FULL}
   */
  void requireShare(long uid, ImageKey key, long bytes) throws Abort {
    Set<ImageKey> mine = new HashSet<>(leases.of(uid));
    fills.begunFor(uid).forEach(fill -> mine.add(fill.key()));
    if (!mine.add(key)) {
      return;
    }
    long taken = bytes;
    for (ImageKey each : mine) {
      ImageFill fill = fills.get(each);
      taken += each.equals(key) ? 0 : fill == null ? cached.bytes(each) : fill.bytes();
    }
    if (mine.size() > limits.userImages() || taken > limits.userBytes()) {
      throw new Abort(
          ExitCode.FULL,
          String.format(
              "cannot use the image: it has %d MB, and your jobs on this node would have %d images"
                  + " of %d MB in all, but %d of %d MB are the most for one user (end other jobs of"
                  + " yours here, or use a smaller image or another node)",
              bytes >> 20,
              mine.size(),
              taken >> 20,
              limits.userImages(),
              limits.userBytes() >> 20));
    }
  }

  /**
   * Chunks on their way take memory.
   *
   * @throws Abort {@link ExitCode#UNAVAILABLE}
   */
  void requireFewChunks(int chunks, long uid) throws Abort {
    long all = chunks + chunksOf(fills.all());
    long his = chunks + chunksOf(fills.begunFor(uid));
    int most = maxChunks / 3 * 2; // others are left some
    if (all > maxChunks || his > most) {
      throw new Abort(
          ExitCode.UNAVAILABLE,
          String.format(
              "cannot fetch the image now: it has %d chunks, and with it %d would be on their way to"
                  + " this node, %d of them for you, but %d and %d are the most (try again when other"
                  + " images are there, or on another node)",
              chunks, all, his, maxChunks, most));
    }
  }

  private static long chunksOf(List<ImageFill> fills) {
    return fills.stream().mapToLong(ImageFill::chunks).sum();
  }

  /**
   * Evicts unleased images, least recently leased first, until there is room for the bytes; none
   * when there could not be.
   *
   * @throws Abort {@link ExitCode#FULL}
   */
  void make(long bytes) throws Abort {
    List<ImageKey> evictable = cached.oldestFirst(leases.all());
    long freed = evictable.stream().mapToLong(cached::bytes).sum();
    long held = heldBytes();
    requireRoom(bytes, Math.max(held + bytes - limits.budgetBytes(), shortOnDisk(bytes) - freed));
    long unheld = freed;
    for (ImageKey key : evictable) {
      if (held + unheld + bytes <= limits.budgetBytes() && shortOnDisk(bytes) <= 0) {
        return;
      }
      unheld -= cached.bytes(key);
      cached.evict(key);
      key.on(Event.EVICT, log).log();
    }
    requireRoom(bytes, shortOnDisk(bytes));
  }

  private void requireRoom(long bytes, long missing) throws Abort {
    if (missing > 0) {
      throw new Abort(
          ExitCode.FULL,
          String.format(
              "cannot cache the image: it has %d MB, and %d MB are missing beside what running jobs"
                  + " hold, of the %d MB that the cache may use or on its disk (try a smaller image"
                  + " or another node)",
              bytes >> 20, (missing >> 20) + 1, limits.budgetBytes() >> 20));
    }
  }

  /** What no eviction gives back. */
  private long heldBytes() {
    long leased =
        leases.all().stream().filter(key -> fills.get(key) == null).mapToLong(cached::bytes).sum();
    return leased + fills.all().stream().mapToLong(ImageFill::bytes).sum();
  }

  /** How many bytes the disk lacks for so many more. */
  private long shortOnDisk(long bytes) throws Abort {
    long promised = fills.all().stream().mapToLong(ImageFill::bytesMissing).sum();
    try {
      return promised + bytes - layout.usableBytes();
    } catch (IOException e) {
      throw layout.unwritable(e);
    }
  }
}
