package org.layercake.launcher;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;

/** Of lines of one kind there may be so many at once, and then one in a while. */
final class LineLimit {
  private static final int MAX_KINDS = 4096;

  private static final class Kind {
    private long paidUntilNanos; // each line costs so many; guarded by kinds
    private long suppressed; // guarded by kinds
  }

  private final long burst;
  private final long nanosPerLine;
  private final LongSupplier nanos;
  private final Map<String, Kind> kinds =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Kind> eldest) {
          return size() > MAX_KINDS;
        }
      };

  LineLimit(long burst, long nanosPerLine, LongSupplier nanos) {
    this.burst = burst;
    this.nanosPerLine = nanosPerLine;
    this.nanos = nanos;
  }

  /** How many lines like it were left out before; -1 when this one is to be, too. */
  long admit(String name) {
    long now = nanos.getAsLong();
    synchronized (kinds) {
      Kind kind = kinds.computeIfAbsent(name, k -> new Kind());
      if (kind.paidUntilNanos - now <= 0 || kind.paidUntilNanos == 0) {
        kind.paidUntilNanos = now; // all of the burst is free again
      }
      if (kind.paidUntilNanos - now > (burst - 1) * nanosPerLine) {
        kind.suppressed++;
        return -1;
      }
      kind.paidUntilNanos += nanosPerLine;
      long before = kind.suppressed;
      kind.suppressed = 0;
      return before;
    }
  }
}
