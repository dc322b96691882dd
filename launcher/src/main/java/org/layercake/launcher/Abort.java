package org.layercake.launcher;

import org.layercake.store.StoreException;
import org.layercake.store.Text;

/**
 * A request that can not be carried out: what the client is told and exits with.
 *
 * <p>The message is one line that names the act, the thing, the cause and the next move. The exit
 * code is one of sysexits(3), listed in docs/user-guide.md.
 */
final class Abort extends Exception {
  static final int USAGE = 64;
  static final int BAD_DATA = 65;
  static final int NO_INPUT = 66;
  static final int UNAVAILABLE = 69;
  static final int INTERNAL = 70;
  static final int CANNOT_CREATE = 73;
  static final int NO_PERMISSION = 77;
  static final int MISCONFIGURED = 78;

  private static final int MAX_MESSAGE_CHARS = 2000;

  private final int exitCode;

  Abort(int exitCode, String message) {
    this(exitCode, message, null);
  }

  Abort(int exitCode, String message, Throwable cause) {
    super(oneLine(message), cause);
    this.exitCode = exitCode;
  }

  static Abort of(StoreException e) {
    return new Abort(e.kind().exitCode(), e.getMessage(), e);
  }

  /**
   * What is told of whatever kept a task from its end, an error of ours unless it says otherwise.
   */
  static Abort of(Throwable failure) {
    if (failure instanceof Abort abort) {
      return abort;
    }
    if (failure instanceof StoreException e) {
      return of(e);
    }
    if (failure instanceof InterruptedException) {
      return new Abort(UNAVAILABLE, "the launcher is being restarted (try again)", failure);
    }
    return new Abort(
        INTERNAL,
        "the launcher failed: " + failure + " (tell the site: see the launcher's log)",
        failure);
  }

  /** Whether the cause is in the node or in us, so that the administrator should look. */
  boolean isOurs() {
    return exitCode == MISCONFIGURED || (exitCode == INTERNAL && getCause() != null);
  }

  int exitCode() {
    return exitCode;
  }

  private static String oneLine(String text) {
    String line = Text.clean(text.strip());
    return line.length() <= MAX_MESSAGE_CHARS ? line : line.substring(0, MAX_MESSAGE_CHARS) + "…";
  }
}
