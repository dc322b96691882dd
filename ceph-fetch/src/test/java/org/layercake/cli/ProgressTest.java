package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What is shown of an act under way. */
@Timeout(60)
class ProgressTest {
  private static final long SECOND = 1_000_000_000;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final PrintStream err = new PrintStream(out, true, UTF_8);

  @Test
  void rateAndTimeLeftAreThoseOfTheLastSeconds() {
    AtomicLong done = new AtomicLong();
    Meter meter = new Meter("packing x", 1_000_000_000, done::get, () -> " read");
    long begun = System.nanoTime();
    assertEquals("0 % of 1.0 GB read", meter.figures(begun));
    done.set(1);
    assertEquals("0 % of 1.0 GB read", meter.figures(begun + SECOND / 10), "too early to tell");
    done.set(100_000_000);
    assertEquals("10 % of 1.0 GB read, 100 MB/s, 9 s left", meter.figures(begun + SECOND));
    for (int i = 2; i < 30; i++) {
      assertTrue(meter.figures(begun + i * SECOND).startsWith("10 % of 1.0 GB read"));
    }
    assertEquals("10 % of 1.0 GB read", meter.figures(begun + 30 * SECOND), "it stands still");
    done.set(100_000_100);
    assertEquals(
        "10 % of 1.0 GB read, 10 B/s",
        meter.figures(begun + 31 * SECOND).replaceAll("\\d+ B", "10 B"));
    done.set(1_100_000_000);
    assertTrue(meter.figures(begun + 32 * SECOND).startsWith("100 % of 1.0 GB read, "));
  }

  @Test
  void whatHasNoKnownEndHasNoTimeLeft() {
    AtomicLong done = new AtomicLong();
    Meter meter = new Meter("packing x", 0, done::get, () -> "");
    long begun = System.nanoTime();
    assertEquals("0 s", meter.figures(begun));
    done.set(5_000_000);
    assertEquals("5.0 MB, 5.0 MB/s", meter.figures(begun + SECOND));
  }

  @Test
  void aLineOfATerminalIsNoLongerThanThat() {
    String name = "/very/long".repeat(20);
    String line = new Meter("packing " + name, 100, () -> 50, () -> " read").line(79);
    assertEquals(79, line.length(), line);
    assertTrue(line.startsWith("packing /very") && line.endsWith("…: 50 % of 100 B read"), line);
  }

  @Test
  void aTerminalHasAWordAtOnceAndGetsMoreWhileNothingHappens() throws Exception {
    try (Progress progress = new Progress(err, Progress.Place.TERMINAL, Duration.ofMillis(1))) {
      progress.await("asking");
      assertEquals("\r\033[Kasking: 0 s", shown());
      progress.begin("packing x", 0, () -> 0, () -> "");
      while (shown().split("packing x: 0 s", -1).length < 5) {
        Thread.onSpinWait();
      }
      progress.note("a note");
      assertTrue(shown().contains("\r\033[Ka note\n"), shown());
    }
    assertTrue(shown().endsWith("\r\033[K") || shown().endsWith("note\n"), "nothing is left of it");
  }

  @Test
  void elsewhereThereIsALineEveryFewSeconds() throws Exception {
    try (Progress progress = new Progress(err, Progress.Place.LINES, Duration.ofMillis(1))) {
      progress.begin("pushing x", 1000);
      progress.reach(500);
      while (shown().lines().filter(line -> line.startsWith("pushing x: 50 % of 1.0 kB")).count()
          < 3) {
        Thread.onSpinWait();
      }
    }
    assertTrue(shown().startsWith("pushing x (1.0 kB)\n"), shown());
  }

  @Test
  void whoWantsItQuietHearsOnlyWhatMatters() {
    try (Progress progress = new Progress(err, true)) {
      progress.begin("pushing x", 1000);
      progress.say("a line");
      progress.note("a note");
    }
    assertEquals("a note\n", shown());
  }

  private String shown() {
    return out.toString(UTF_8);
  }
}
