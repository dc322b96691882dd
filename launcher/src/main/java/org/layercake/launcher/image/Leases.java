package org.layercake.launcher.image;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Which users' jobs hold which images of the cache. Not safe for use by several threads. */
final class Leases {
  private final Map<ImageKey, Map<Long, Integer>> byImage = new HashMap<>(); // uid, how often

  void add(ImageKey key, long uid) {
    byImage.computeIfAbsent(key, k -> new HashMap<>()).merge(uid, 1, Integer::sum);
  }

  void remove(ImageKey key, long uid) {
    Map<Long, Integer> users = byImage.get(key);
    users.merge(uid, -1, Integer::sum);
    users.remove(uid, 0);
    if (users.isEmpty()) {
      byImage.remove(key);
    }
  }

  boolean has(ImageKey key) {
    return byImage.containsKey(key);
  }

  Set<ImageKey> all() {
    return byImage.keySet();
  }

  /** Whose jobs hold it. */
  Set<Long> users(ImageKey key) {
    return new TreeSet<>(byImage.getOrDefault(key, Map.of()).keySet());
  }

  Set<ImageKey> of(long uid) {
    return byImage.keySet().stream()
        .filter(key -> byImage.get(key).containsKey(uid))
        .collect(Collectors.toSet());
  }
}
