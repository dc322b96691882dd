package org.layercake.launcher.image;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.layercake.launcher.node.Event;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The complete images of the cache, by size and last use, as they are on the disk. Not safe for use
 * by several threads.
 */
final class CachedImages {
  private static final Logger log = LoggerFactory.getLogger(CachedImages.class);

  private record Known(long bytes, Instant lastLeased) {}

  private final CacheLayout layout;
  private final Map<ImageKey, Known> known = new HashMap<>();

  /** Takes up what is on the disk. */
  CachedImages(CacheLayout layout) {
    this.layout = layout;
    for (ImageKey key : layout.cachedImages()) {
      try {
        Path file = layout.image(key);
        Instant used = Files.getLastModifiedTime(file).toInstant();
        known.put(key, new Known(Files.size(file), used));
      } catch (IOException e) {
        key.on(Event.CACHE_UNREADABLE, log).addKeyValue("cause", e.toString()).log();
      }
    }
  }

  /** Whether the image is there; also that somebody has removed the file is found out. */
  boolean has(ImageKey key) {
    if (known.containsKey(key) && Files.notExists(layout.image(key))) {
      key.on(Event.IMAGE_REMOVED, log).log();
      evict(key);
    }
    return known.containsKey(key);
  }

  void add(ImageKey key, long bytes) {
    known.put(key, new Known(bytes, Instant.now()));
  }

  /** Marks the image as used just now, for the next launcher, too, if the disk lets us. */
  void use(ImageKey key) {
    Instant now = Instant.now();
    known.computeIfPresent(key, (k, image) -> new Known(image.bytes(), now));
    try {
      Files.setLastModifiedTime(layout.image(key), FileTime.from(now));
    } catch (IOException e) {
      key.on(Event.UNTOUCHABLE, log).addKeyValue("cause", e.toString()).log();
    }
  }

  /** 0 for one that is not here. */
  long bytes(ImageKey key) {
    Known image = known.get(key);
    return image == null ? 0 : image.bytes();
  }

  /** When somebody got it last. */
  Instant lastUsed(ImageKey key) {
    return known.get(key).lastLeased();
  }

  /** All but these, the least recently used first. */
  List<ImageKey> oldestFirst(Collection<ImageKey> without) {
    List<ImageKey> keys = new ArrayList<>(known.keySet());
    keys.removeAll(without);
    keys.sort(Comparator.comparing(key -> known.get(key).lastLeased()));
    return keys;
  }

  void evict(ImageKey key) {
    known.remove(key);
    for (Path file : List.of(layout.image(key), layout.manifest(key))) {
      try {
        Files.deleteIfExists(file);
      } catch (IOException e) {
        Event.DELETE_FAILED
            .on(log)
            .addKeyValue("file", file)
            .addKeyValue("cause", e.toString())
            .log();
      }
    }
  }
}
