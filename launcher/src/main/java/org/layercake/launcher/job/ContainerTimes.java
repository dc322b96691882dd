package org.layercake.launcher.job;

import java.util.LinkedHashMap;
import java.util.Map;

/** When what came of a container, and which steps have been in it. */
final class ContainerTimes {
  private static final int MAX_STEPS = 256;
  private static final int NANOS_PER_MILLI = 1_000_000;

  private final long askedNanos = System.nanoTime();
  private volatile long wantedNanos = askedNanos;
  private volatile long mountedNanos = askedNanos;
  // Guarded by itself; of many steps, those that have come last.
  private final Map<Long, Boolean> steps =
      new LinkedHashMap<>() {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, Boolean> eldest) {
          return size() > MAX_STEPS;
        }
      };

  /** Somebody waits for the container from now on. */
  void wanted() {
    wantedNanos = System.nanoTime();
  }

  /** Its images are mounted. */
  void mounted() {
    mountedNanos = System.nanoTime();
  }

  long imageMillis() {
    return (mountedNanos - askedNanos) / NANOS_PER_MILLI;
  }

  /** How long it has been waited for until now. */
  long startMillis() {
    return (System.nanoTime() - wantedNanos) / NANOS_PER_MILLI;
  }

  /** Whether no task of the step has been seen. */
  boolean isNew(long step) {
    synchronized (steps) {
      return steps.put(step, true) == null;
    }
  }

  /** As Slurm names it; slurm.h has the numbers. */
  static String name(long step) {
    if (step == 0xffff_fffbL) {
      return "batch";
    } else if (step == 0xffff_fffaL) {
      return "interactive";
    } else if (step == 0xffff_fffcL) {
      return "extern";
    }
    return Long.toString(step);
  }
}
