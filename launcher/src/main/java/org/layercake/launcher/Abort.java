package org.layercake.launcher;

import org.layercake.store.StoreException;

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

  int exitCode() {
    return exitCode;
  }

  private static String oneLine(String text) {
    String line = text.strip().replaceAll("\\p{Cntrl}", "?");
    return line.length() <= MAX_MESSAGE_CHARS ? line : line.substring(0, MAX_MESSAGE_CHARS) + "…";
  }
}
