package org.layercake.launcher.job;

import java.util.Map;
import java.util.TreeMap;

/** Counts containers that were started since the launcher was, by how long it took or by code. */
final class Starts {
  /** Upper ends of the classes in milliseconds; the last class has none. */
  private static final long[] CLASSES = {
    10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 60_000
  };

  private final Map<Integer, Long> byCode = new TreeMap<>(); // guarded by this
  private final long[] upTo = new long[CLASSES.length]; // guarded by this
  private long millis; // guarded by this

  /**
   * The counts at one moment.
   *
   * @param byCode 0 for those that are ready
   * @param upTo how many took at most so many milliseconds
   * @param millis what all of them together took
   */
  record Counts(Map<Integer, Long> byCode, Map<Long, Long> upTo, long millis) {}

  synchronized void ready(long took) {
    byCode.merge(0, 1L, Long::sum);
    millis += took;
    for (int i = 0; i < CLASSES.length; i++) {
      upTo[i] += took <= CLASSES[i] ? 1 : 0;
    }
  }

  synchronized void failed(int code) {
    byCode.merge(code, 1L, Long::sum);
  }

  synchronized Counts counts() {
    Map<Long, Long> classes = new TreeMap<>();
    for (int i = 0; i < CLASSES.length; i++) {
      classes.put(CLASSES[i], upTo[i]);
    }
    return new Counts(new TreeMap<>(byCode), classes, millis);
  }
}
