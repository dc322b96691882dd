package org.layercake.cli;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/** One line about an act under way: how much is done, how fast, and how long it will take. */
final class Meter {
  private static final long SECOND = 1_000_000_000;

  /** So much of the past says how fast it goes. */
  private static final long WINDOW_NANOS = 10 * SECOND;

  private static final int MIN_ACT_CHARACTERS = 12;
  private static final long MAX_SECONDS_LEFT = 100 * 3600L;

  private record Sample(long nanos, long done) {}

  private final String act;
  private final long total;
  private final LongSupplier done;
  private final Supplier<String> more;
  private final long begun;
  private final Deque<Sample> samples = new ArrayDeque<>();

  Meter(String act, long total, LongSupplier done, Supplier<String> more) {
    this.act = act;
    this.total = total;
    this.done = done;
    this.more = more;
    this.begun = System.nanoTime();
  }

  /** As it is now, in so many characters at most: what is cut is the act, which is known. */
  String line(int characters) {
    String rest = ": " + figures(System.nanoTime());
    int room = Math.max(MIN_ACT_CHARACTERS, characters - rest.length());
    String shown = act.length() <= room ? act : act.substring(0, room - 1) + "…";
    String line = shown + rest;
    return line.length() <= characters ? line : line.substring(0, characters);
  }

  String figures(long now) {
    long bytes = done.getAsLong();
    samples.addLast(new Sample(now, bytes));
    while (samples.getFirst().nanos() < now - WINDOW_NANOS) {
      samples.removeFirst();
    }
    Sample first = samples.getFirst();
    long nanos = now - first.nanos();
    double rate = nanos < SECOND ? 0 : (double) (bytes - first.done()) * SECOND / nanos;
    String figures =
        total > 0
            ? Math.min(100, 100 * bytes / total) + " % of " + Sizes.human(total)
            : bytes > 0 ? Sizes.human(bytes) : (now - begun) / SECOND + " s";
    figures += more.get();
    if (rate >= 1) {
      figures += ", " + Sizes.human(Math.round(rate)) + "/s";
      long left = Math.round((total - bytes) / rate);
      if (total > bytes && left < MAX_SECONDS_LEFT) {
        figures += ", " + time(left) + " left";
      }
    }
    return figures;
  }

  private static String time(long seconds) {
    if (seconds < 100) {
      return seconds + " s";
    }
    return seconds < 6000
        ? Math.round(seconds / 60.0) + " min"
        : Math.round(seconds / 3600.0) + " h";
  }
}
