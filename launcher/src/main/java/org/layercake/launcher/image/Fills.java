package org.layercake.launcher.image;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The images that are not complete: on their way, or kept for those who run them. Guarded by the
 * cache.
 */
final class Fills {
  private record Begun(ImageFill fill, Long uid) {}

  private final Map<ImageKey, Begun> fills = new HashMap<>();
  private final Set<ImageKey> ended = new HashSet<>(); // of these: not on their way any more

  private Bytes past = new Bytes(0, 0, 0); // of those that were removed

  /** Takes one that an earlier launcher began, for whomever. */
  void add(ImageFill fill) {
    fills.put(fill.key(), new Begun(fill, null));
  }

  /** Takes one that was begun for a user. */
  void add(ImageFill fill, long uid) {
    fills.put(fill.key(), new Begun(fill, uid));
  }

  /** The image's, or null. */
  ImageFill get(ImageKey key) {
    Begun begun = fills.get(key);
    return begun == null ? null : begun.fill;
  }

  boolean has(ImageFill fill) {
    return get(fill.key()) == fill;
  }

  List<ImageFill> all() {
    return fills.values().stream().map(Begun::fill).toList();
  }

  /** Those that were begun for a user. */
  List<ImageFill> begunFor(long uid) {
    List<ImageFill> his = new ArrayList<>();
    for (Begun each : fills.values()) {
      if (each.uid != null && each.uid == uid) {
        his.add(each.fill);
      }
    }
    return his;
  }

  /** It is not on its way any more, but stays. */
  void end(ImageFill fill) {
    ended.add(fill.key());
  }

  boolean hasEnded(ImageFill fill) {
    return ended.contains(fill.key());
  }

  /** How those that were begun here have come, and how many bytes were here already. */
  Bytes total() {
    Bytes total = past;
    for (ImageFill fill : all()) {
      total = total.plus(fill.here());
    }
    return total;
  }

  /** Counts an image that somebody got of which nothing had to come. */
  void cached(long bytes) {
    past = past.plus(new Bytes(0, 0, bytes));
  }

  void remove(ImageFill fill) {
    if (has(fill)) {
      past = past.plus(fill.here());
    }
    fills.remove(fill.key());
    ended.remove(fill.key());
  }

  /** Whether none is on its way. */
  boolean areQuiet() {
    return ended.containsAll(fills.keySet());
  }
}
