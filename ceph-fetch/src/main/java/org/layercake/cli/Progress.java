package org.layercake.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.layercake.store.Text;

/** How far something is: a bar on a terminal, a line every few seconds elsewhere. */
final class Progress implements AutoCloseable {
  private static final long LINE_EVERY_NANOS = 10_000_000_000L;

  private final PrintStream err;
  private final boolean terminal;
  private ProgressBar bar;
  private String act;
  private long total;
  private long lastLine;

  Progress(PrintStream err) {
    this.err = err;
    this.terminal = err == System.err && isTerminal();
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

  void say(String line) {
    err.println(Text.clean(line));
  }

  void begin(String newAct, long newTotal) {
    end();
    act = Text.clean(newAct);
    total = newTotal;
    lastLine = System.nanoTime();
    if (terminal) {
      bar =
          new ProgressBarBuilder()
              .setTaskName(act)
              .setInitialMax(total)
              .setUnit(" MB", 1_000_000)
              .setStyle(ProgressBarStyle.ASCII)
              .setUpdateIntervalMillis(100)
              .clearDisplayOnFinish()
              .setConsumer(new ConsoleProgressBarConsumer(err))
              .showSpeed()
              .build();
    } else {
      say(act + " (" + Sizes.human(total) + ")");
    }
  }

  synchronized void reach(long done) {
    if (bar != null) {
      bar.stepTo(done);
    } else if (System.nanoTime() - lastLine > LINE_EVERY_NANOS) {
      lastLine = System.nanoTime();
      say(act + ": " + 100 * done / total + " %");
    }
  }

  @Override
  public void close() {
    end();
  }

  /** Takes the bar away. */
  void end() {
    if (bar != null) {
      bar.close();
      bar = null;
    }
  }
}
