package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Comparator;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** On a simulated link: one queue of so many bytes a second, after a way of so long. */
class WindowTest {
  private static final double GBIT = 1e9 / 8;
  private static final int MEAN_BYTES = 1 << 20;

  private final Window window = new Window();
  private final Random random = new Random(1);
  private final PriorityQueue<Read> flying =
      new PriorityQueue<>(Comparator.comparingLong(Read::endNanos));
  private double bytesPerSecond;
  private long wayNanos;
  private long now;
  private long linkFree;
  private long bytesRead;

  private record Read(Window.Start start, int bytes, long endNanos) {}

  @Test
  void growsOnALongFastLinkAndFillsIt() {
    link(100 * GBIT, 3_000_000);
    read(100);
    long before = bytesRead;
    long beganNanos = now;
    read(5_000);
    assertTrue(window.size() > 24, "window " + window.size());
    double rate = (bytesRead - before) / ((now - beganNanos) / 1e9);
    assertTrue(rate > 0.85 * Window.MOST * MEAN_BYTES / 3e-3, "bytes a second: " + rate);
  }

  @Test
  void takesNoMoreThanALinkCarries() {
    link(25 * GBIT, 3_000_000); // 3.1 GB/s: nine chunks of 1 MiB
    read(200);
    double filled = 0;
    for (int i = 0; i < 100; i++) {
      read(50);
      filled += window.size();
    }
    assertTrue(filled / 100 > 9 && filled / 100 < 20, "mean window " + filled / 100);
  }

  @Test
  void staysSmallOnASlowLink() {
    link(1 * GBIT, 500_000);
    read(60);
    for (int i = 0; i < 100; i++) {
      read(50);
      assertTrue(window.size() <= 10, "window " + window.size());
    }
  }

  @Test
  void givesWayWhenTheLinkIsSharedAndComesBack() {
    link(100 * GBIT, 3_000_000);
    read(3_000);
    assertTrue(window.size() > 24, "window " + window.size());
    link(5 * GBIT, 3_000_000);
    read(300);
    assertTrue(window.size() <= 12, "window " + window.size());
    link(100 * GBIT, 3_000_000);
    read(3_000);
    assertTrue(window.size() > 24, "window " + window.size());
  }

  @Test
  void findsANewBestTimeWhenTheWayGetsLonger() {
    link(100 * GBIT, 500_000);
    read(1_000);
    link(100 * GBIT, 5_000_000);
    read(40_000); // more than two probes
    assertTrue(window.size() > 24, "window " + window.size());
  }

  @Test
  void oneSlowOsdAmongManyDoesNotShrinkIt() {
    link(100 * GBIT, 3_000_000);
    for (int i = 0; i < 5_000; i++) {
      read(1);
      if (i % 20 == 0) {
        begin(300_000_000);
      }
    }
    assertTrue(window.size() > 24, "window " + window.size());
  }

  @Test
  void readThatIsNotAnsweredInTimeShrinksItAtOnce() {
    link(100 * GBIT, 3_000_000);
    read(3_000);
    window.end(window.start(window.size(), now), 1 << 20, now + TimeUnit.SECONDS.toNanos(15));
    assertEquals(Window.LEAST, window.size());
  }

  @Test
  void doesNotGrowOnWhatWasNotAskedFor() {
    link(100 * GBIT, 3_000_000);
    for (int i = 0; i < 1_000; i++) {
      now += 10_000_000;
      window.end(window.start(2, now), 1 << 20, now + 3_000_000);
    }
    assertEquals(Window.LEAST, window.size());
  }

  private void link(double bytesPerSecond, long wayNanos) {
    this.bytesPerSecond = bytesPerSecond;
    this.wayNanos = wayNanos;
  }

  /** Keeps the window full until so many more reads have ended. */
  private void read(int count) {
    for (int i = 0; i < count; i++) {
      while (flying.size() < window.size()) {
        begin(0);
      }
      Read read = flying.remove();
      now = read.endNanos();
      bytesRead += read.bytes();
      window.end(read.start(), read.bytes(), now);
    }
  }

  private void begin(long delayNanos) {
    int bytes = chunkBytes();
    linkFree = Math.max(now, linkFree) + (long) (bytes / bytesPerSecond * 1e9);
    long jitter = random.nextInt((int) wayNanos / 5);
    Window.Start start = window.start(flying.size() + 1, now);
    flying.add(new Read(start, bytes, linkFree + wayNanos + jitter + delayNanos));
  }

  /** As content cuts them: 256 KiB, and whatever comes until the next cut. */
  private int chunkBytes() {
    double rest = -Math.log(1 - random.nextDouble()) * (MEAN_BYTES - (256 << 10));
    return (256 << 10) + (int) Math.min(rest, (4 << 20) - (256 << 10));
  }
}
