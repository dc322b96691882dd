package org.layercake.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.layercake.store.Text;

/**
 * How far something is: on a terminal one line that is written over, elsewhere a line every few
 * seconds. A thread writes them, so that there is a word even where nothing gets ahead.
 */
final class Progress implements AutoCloseable {
  private static final int COLUMNS = 80;
  private static final String ERASE = "\r\033[K";

  /** Where it is shown. */
  enum Place {
    TERMINAL(Duration.ofMillis(200)),
    LINES(Duration.ofSeconds(10)),
    NOWHERE(Duration.ofDays(1));

    private final Duration interval;

    Place(Duration interval) {
      this.interval = interval;
    }
  }

  private final PrintStream err;
  private final Place place;
  private final Thread ticker = new Thread(this::tick, "progress");
  private final long intervalNanos;
  private Meter meter; // this and what follows guarded by this
  private AtomicLong reached = new AtomicLong();
  private long lastNanos;
  private boolean isDrawn;
  private boolean isClosed;

  Progress(PrintStream err) {
    this(err, false);
  }

  /**
   * @param quiet nothing is shown but notes
   */
  Progress(PrintStream err, boolean quiet) {
    this(
        err,
        quiet ? Place.NOWHERE : err == System.err && isTerminal() ? Place.TERMINAL : Place.LINES);
  }

  private Progress(PrintStream err, Place place) {
    this(err, place, place.interval);
  }

  Progress(PrintStream err, Place place, Duration interval) {
    this.err = err;
    this.place = place;
    this.intervalNanos = interval.toNanos();
    ticker.setDaemon(true);
    ticker.start();
  }

  /** {@link System#console} would also want a terminal on stdin and stdout. */
  private static boolean isTerminal() {
    try {
      String stderr = Files.readSymbolicLink(Path.of("/proc/self/fd/2")).toString();
      return stderr.startsWith("/dev/pts/") || stderr.startsWith("/dev/tty");
    } catch (IOException e) {
      return false;
    }
  }

  /** Shows a line that says how far it is. */
  synchronized void say(String line) {
    if (place != Place.NOWHERE) {
      note(line);
    }
  }

  /** Shows a line that the user should know, whatever is wanted. */
  synchronized void note(String line) {
    erase();
    err.println(Text.clean(line));
  }

  /** Begins to show an act, of which {@link #reach} says how far it is. */
  synchronized void begin(String act, long total) {
    AtomicLong own = new AtomicLong();
    reached = own;
    begin(act, total, own::get, () -> "");
  }

  /**
   * Begins to show an act.
   *
   * @param total bytes; 0 if nobody knows
   * @param done bytes so far
   * @param more what else there is to say of it, behind the bytes
   */
  synchronized void begin(String act, long total, LongSupplier done, Supplier<String> more) {
    if (place == Place.LINES) {
      say(total > 0 ? act + " (" + Sizes.human(total) + ")" : act);
    }
    show(new Meter(Text.clean(act), total, done, more));
  }

  /** Begins to show that something is waited for. */
  synchronized void await(String act) {
    show(new Meter(Text.clean(act), 0, () -> 0, () -> ""));
  }

  private void show(Meter next) {
    erase();
    meter = next;
    lastNanos = System.nanoTime();
    if (place == Place.TERMINAL) {
      draw();
    }
  }

  synchronized void reach(long done) {
    reached.set(done);
  }

  private synchronized void tick() {
    try {
      while (!isClosed) {
        long left = meter == null ? intervalNanos : lastNanos + intervalNanos - System.nanoTime();
        if (left > 0) {
          wait(left / 1_000_000, (int) (left % 1_000_000));
        } else {
          lastNanos = System.nanoTime();
          draw();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void draw() {
    if (place == Place.TERMINAL) {
      err.print(ERASE + meter.line(COLUMNS - 1));
      err.flush();
      isDrawn = true;
    } else {
      say(meter.line(Integer.MAX_VALUE));
    }
  }

  private void erase() {
    if (isDrawn) {
      err.print(ERASE);
      err.flush();
      isDrawn = false;
    }
  }

  /** Takes the line away, and shows nothing until something begins. */
  synchronized void end() {
    erase();
    meter = null;
  }

  @Override
  public synchronized void close() {
    end();
    isClosed = true;
    notifyAll();
  }
}
