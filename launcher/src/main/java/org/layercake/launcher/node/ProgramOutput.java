package org.layercake.launcher.node;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Path;
import java.util.concurrent.TimeoutException;
import jnr.ffi.Pointer;

/**
 * What a program says on stdout and stderr while we listen.
 *
 * <p>A container's user can take the descriptors of its processes (pidfd_getfd(2)), write to them
 * and keep them. So nothing here waits for the end of the pipe or takes all that comes, as the JDK
 * would with a pipe of its own.
 */
final class ProgramOutput implements AutoCloseable {
  private static final int MAX_LINE_BYTES = 8192;
  private static final int MAX_BYTES = 1 << 20;
  private static final int PIPE_BYTES = 1 << 16; // pipe(7)
  private static final int SLICE_MILLIS = 50;

  private final int reading;
  private final Pointer watched;
  private final byte[] buffer = new byte[4096];
  private final StringBuilder line = new StringBuilder(); // a character for each byte

  // Guarded by this.
  private String lastLine = "";
  private int writing;
  private boolean open = true;
  private int bytes;

  private ProgramOutput(int reading, int writing) {
    this.reading = reading;
    this.writing = writing;
    this.watched = UnixSocket.watched(reading);
  }

  static ProgramOutput open() throws IOException {
    int[] ends = UnixSocket.pipe();
    return new ProgramOutput(ends[0], ends[1]);
  }

  /** Where the program is to write. */
  Redirect redirect() {
    return Redirect.to(Path.of("/proc/self/fd/" + writing).toFile());
  }

  /** To be called when the program has its end, or never will. */
  synchronized void started() {
    if (writing >= 0) {
      Libc.close(writing);
      writing = -1;
    }
  }

  /**
   * Waits for a line.
   *
   * @return false if it will not come: the process has ended or has closed its output
   * @throws TimeoutException when neither happens in time
   * @throws IOException when too much comes before
   */
  synchronized boolean await(String wanted, Process process, long timeoutMillis)
      throws IOException, InterruptedException, TimeoutException {
    long deadline = System.nanoTime() + timeoutMillis * 1_000_000;
    while (System.nanoTime() < deadline) {
      boolean isAlive = process.isAlive(); // before the look: what it said last is there by then
      int count = read(isAlive ? SLICE_MILLIS : 0);
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      if (hear(count, wanted)) {
        return true;
      }
      if (count == 0 || (count < 0 && !isAlive)) {
        return false;
      }
      if (bytes > MAX_BYTES) {
        throw new IOException("more than " + MAX_BYTES + " bytes instead of \"" + wanted + "\"");
      }
    }
    throw new TimeoutException();
  }

  /** Takes what is there, not more than a pipe holds, and lets go of the pipe. */
  synchronized void end() {
    if (open) {
      for (int rest = PIPE_BYTES; rest > 0; ) {
        int count = read(0);
        hear(count, null);
        rest = count > 0 ? rest - count : 0;
      }
    }
    close();
  }

  /** The last line that was not empty, as far as it has been heard. */
  synchronized String lastLine() {
    return new String(latest().getBytes(ISO_8859_1), UTF_8).strip();
  }

  private String latest() {
    String current = line.toString();
    return current.isBlank() ? lastLine : current;
  }

  /** 0 at the end, negative when nothing comes in that time. */
  private int read(int timeoutMillis) {
    return UnixSocket.await(watched, 1, timeoutMillis) ? Libc.read(reading, buffer) : -1;
  }

  /** Whether the wanted line has come. */
  private boolean hear(int count, String wanted) {
    for (int i = 0; i < count; i++) {
      if (buffer[i] != '\n') {
        if (line.length() < MAX_LINE_BYTES) {
          line.append((char) (buffer[i] & 0xff));
        }
        continue;
      }
      if (line.toString().equals(wanted)) {
        return true;
      }
      lastLine = latest();
      line.setLength(0);
    }
    bytes += Math.max(0, count);
    return false;
  }

  @Override
  public synchronized void close() {
    started();
    if (open) {
      open = false;
      Libc.close(reading);
    }
  }
}
