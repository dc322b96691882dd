package org.layercake.launcher.image;

import java.util.function.Consumer;
import org.layercake.store.FetchListener;

/** Turns the bytes of a fetch into a line for the waiting user. */
final class FetchProgress implements FetchListener {
  private static final long NANOS_PER_SECOND = 1_000_000_000L;

  private final String what;
  private final long totalBytes;
  private final Consumer<String> lines;
  private long startedNanos; // guarded by this
  private long startBytes; // guarded by this: another's fetch may have begun before
  private long lastNanos; // guarded by this

  /**
   * Starts to count at the first bytes.
   *
   * @param what the image and where it comes from, for the line
   */
  FetchProgress(String what, long totalBytes, Consumer<String> lines) {
    this.what = what;
    this.totalBytes = totalBytes;
    this.lines = lines;
  }

  @Override
  public synchronized void fetched(long bytesDone) {
    long now = System.nanoTime();
    if (startedNanos == 0) {
      startedNanos = now;
      startBytes = bytesDone;
    }
    lastNanos = now;
    double seconds = (now - startedNanos) / (double) NANOS_PER_SECOND;
    double bytesPerSecond = (bytesDone - startBytes) / Math.max(seconds, 0.001);
    lines.accept(
        String.format(
            "fetching %s: %d of %d MB, %.0f s, %.0f MB/s, %.0f s left",
            what,
            bytesDone / 1_000_000,
            totalBytes / 1_000_000,
            seconds,
            bytesPerSecond / 1e6,
            (totalBytes - bytesDone) / Math.max(bytesPerSecond, 1)));
  }

  /** Without the next move, in parentheses at the end: we are making it. */
  @Override
  public void waits(String cause) {
    lines.accept("waiting for " + what + ": " + cause.replaceFirst(" \\([^()]*\\)$", ""));
  }

  /** How long the fetch took from its first chunk to its last, 0 when there was none. */
  synchronized long millis() {
    return (lastNanos - startedNanos) / 1_000_000;
  }
}
