package org.layercake.launcher.node;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * One process, as long as the node is up: a later process with the same pid is another one. The run
 * directory, where these are kept, does not outlive a reboot, so neither need they.
 *
 * @param startTicks when it started, in clock ticks since the node's boot, field 22 of proc(5)'s
 *     /proc/PID/stat. Unlike a time of day it stays the same when somebody sets the clock.
 */
public record ProcessId(long pid, long startTicks) {
  // Fields of /proc/PID/stat behind the command's name: the first is field 3, the state.
  private static final int STATE = 0;
  private static final int START_TICKS = 22 - 3;
  private static final int TICKS_PER_SECOND = 100; // for programs, whatever the kernel's own is

  /**
   * The process that has this pid now.
   *
   * @throws IOException when there is none, or only what a parent has not collected yet
   */
  static ProcessId of(long pid) throws IOException {
    return fromStat(pid, Files.readString(Path.of("/proc/" + pid + "/stat"), ISO_8859_1));
  }

  /**
   * Reads the text of a /proc/PID/stat, in which the command's name may hold blanks and
   * parentheses.
   *
   * @throws IOException when it is not that, or the process has ended
   */
  static ProcessId fromStat(long pid, String stat) throws IOException {
    String[] fields = stat.substring(stat.lastIndexOf(')') + 1).strip().split(" ", -1);
    if (fields.length <= START_TICKS) {
      throw new IOException("cannot read /proc/" + pid + "/stat: too few fields");
    }
    if (fields[STATE].equals("Z") || fields[STATE].equals("X")) {
      throw new IOException("process " + pid + " has ended");
    }
    try {
      return new ProcessId(pid, Long.parseLong(fields[START_TICKS]));
    } catch (NumberFormatException e) {
      throw new IOException("cannot read /proc/" + pid + "/stat: no start time", e);
    }
  }

  /**
   * The opposite of {@link #toString}.
   *
   * @throws NumberFormatException when it is not PID TICKS
   */
  public static ProcessId parse(String text) {
    String[] fields = text.strip().split(" ", 2);
    return new ProcessId(
        Long.parseLong(fields[0]), Long.parseLong(fields.length < 2 ? "" : fields[1]));
  }

  /** How long ago it started. */
  public long ageSeconds() {
    return Libc.uptimeSeconds() - startTicks / TICKS_PER_SECOND;
  }

  /** The process, if it still runs. */
  public Optional<ProcessHandle> find() {
    // The handle first: its own methods keep it from another process if that comes later.
    return ProcessHandle.of(pid).filter(handle -> isRunning());
  }

  /** Whether it still runs. */
  public boolean isRunning() {
    try {
      return of(pid).equals(this);
    } catch (IOException e) {
      return false;
    }
  }

  /** {@code PID TICKS}, as files of the run directory have it. */
  @Override
  public String toString() {
    return pid + " " + startTicks;
  }
}
