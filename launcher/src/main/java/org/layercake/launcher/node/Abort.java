package org.layercake.launcher.node;

import org.layercake.store.ExitCode;
import org.layercake.store.StoreException;
import org.layercake.store.Text;

/**
 * A request that can not be carried out: what the client is told and exits with.
 *
 * <p>The message is one line that names the act, the thing, the cause and the next move. The exit
 * code is one of sysexits(3), listed in docs/user-guide.md.
 */
public final class Abort extends Exception {
  private static final int MAX_MESSAGE_CHARS = 2000;

  private final int exitCode;
  private final boolean killed;

  public Abort(int exitCode, String message) {
    this(exitCode, message, null);
  }

  public Abort(int exitCode, String message, Throwable cause) {
    this(exitCode, message, cause, false);
  }

  private Abort(int exitCode, String message, Throwable cause, boolean killed) {
    super(oneLine(message), cause);
    this.exitCode = exitCode;
    this.killed = killed;
  }

  /** Of a program of ours that somebody else's signal has ended, as when memory is short. */
  public static Abort ofKilled(String message, Throwable cause) {
    return new Abort(ExitCode.INTERNAL, message, cause, true);
  }

  public static Abort of(StoreException e) {
    return new Abort(e.kind().exitCode(), e.getMessage(), e);
  }

  /**
   * What is told of whatever kept a task from its end, an error of ours unless it says otherwise.
   */
  public static Abort of(Throwable failure) {
    if (failure instanceof Abort abort) {
      return abort;
    }
    if (failure instanceof StoreException e) {
      return of(e);
    }
    if (failure instanceof InterruptedException) {
      return new Abort(
          ExitCode.UNAVAILABLE, "the launcher is being restarted (try again)", failure);
    }
    return new Abort(
        ExitCode.INTERNAL,
        "the launcher failed: " + failure + " (tell the site: see the launcher's log)",
        failure);
  }

  /** Whether the cause is in the node or in us, so that the administrator should look. */
  public boolean isOurs() {
    return exitCode == ExitCode.MISCONFIGURED
        || (exitCode == ExitCode.INTERNAL && getCause() != null && !killed);
  }

  /** Whether a program was killed, so that another try may succeed. */
  public boolean isKilled() {
    return killed;
  }

  public int exitCode() {
    return exitCode;
  }

  private static String oneLine(String text) {
    String line = Text.clean(text.strip());
    return line.length() <= MAX_MESSAGE_CHARS ? line : line.substring(0, MAX_MESSAGE_CHARS) + "…";
  }
}
