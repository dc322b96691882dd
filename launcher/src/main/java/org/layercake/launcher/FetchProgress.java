package org.layercake.launcher;

import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.layercake.store.FetchListener;

/** Turns the bytes of a fetch into a line for the waiting user. */
final class FetchProgress implements FetchListener {
  private static final long NANOS_PER_SECOND = 1_000_000_000L;

  private final String image;
  private final long totalBytes;
  private final Consumer<String> lines;
  private final AtomicLong startedNanos = new AtomicLong();
  private volatile long lastNanos;

  FetchProgress(String image, long totalBytes, Consumer<String> lines) {
    this.image = image;
    this.totalBytes = totalBytes;
    this.lines = lines;
  }

  @Override
  public void fetched(long bytesDone) {
    long now = System.nanoTime();
    startedNanos.compareAndSet(0, now);
    lastNanos = now;
    double seconds = (now - startedNanos.get()) / (double) NANOS_PER_SECOND;
    double bytesPerSecond = bytesDone / Math.max(seconds, 0.001);
    lines.accept(
        String.format(
            "fetching %s: %d of %d MB, %.0f s, %.0f MB/s, %.0f s left",
            image,
            bytesDone / 1_000_000,
            totalBytes / 1_000_000,
            seconds,
            bytesPerSecond / 1e6,
            (totalBytes - bytesDone) / Math.max(bytesPerSecond, 1)));
  }

  /** How long the fetch took from its first chunk to its last, 0 when there was none. */
  long millis() {
    return startedNanos.get() == 0 ? 0 : (lastNanos - startedNanos.get()) / 1_000_000;
  }
}
