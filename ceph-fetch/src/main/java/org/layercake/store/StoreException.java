package org.layercake.store;

import java.io.IOException;

/**
 * A failed act on the store. The message is one line for the user: act, thing, cause and, in
 * brackets, the next move. {@link #kind()} gives the exit code of the command or step.
 */
public final class StoreException extends Exception {
  /** What went wrong, by who can mend it. Exit codes are those of sysexits(3). */
  public enum Kind {
    /** The request itself is malformed. */
    INVALID(ExitCode.REQUEST),
    /** The source of a push is not an image, or is damaged. */
    BAD_SOURCE(ExitCode.DAMAGED),
    /** No such image, tag or file. */
    NOT_FOUND(ExitCode.MISSING),
    /** A fault of this program or of a program it calls. */
    INTERNAL(ExitCode.INTERNAL),
    /** No room in the store or on the local disk. */
    FULL(ExitCode.FULL),
    /** What the store holds does not match its digest, or can not be read or written. */
    CORRUPT(ExitCode.INPUT),
    /** The store does not answer, or another push was faster: trying again may help. */
    UNAVAILABLE(ExitCode.TEMPORARY),
    /** The user, or the user's key, may not do this. */
    DENIED(ExitCode.PERMISSION),
    /** The configuration or the installation is wrong. */
    MISCONFIGURED(ExitCode.MISCONFIGURED);

    private final int exitCode;

    Kind(int exitCode) {
      this.exitCode = exitCode;
    }

    public int exitCode() {
      return exitCode;
    }
  }

  private static final long serialVersionUID = 1;

  /** Others' names may have megabytes: a message keeps its beginning and its end. */
  private static final int MAX_BEGINNING_CHARS = 6000;

  private static final int MAX_END_CHARS = 2000;

  private final Kind kind;

  public StoreException(Kind kind, String message) {
    super(oneLine(message));
    this.kind = kind;
  }

  public StoreException(Kind kind, String message, Throwable cause) {
    super(oneLine(message), cause);
    this.kind = kind;
  }

  public Kind kind() {
    return kind;
  }

  /**
   * Whether a file could not be written for lack of room, or by a limit on its size: java.nio says
   * ENOSPC, EDQUOT and EFBIG in words.
   */
  public static boolean saysNoRoom(Throwable failure) {
    String message = String.valueOf(failure.getMessage());
    return message.contains("No space left")
        || message.contains("Disk quota exceeded")
        || message.contains("File too large");
  }

  /** Throws what another thread has failed with, if it has; nothing else can be checked. */
  static void rethrow(Throwable failure) throws StoreException, IOException {
    if (failure instanceof StoreException store) {
      throw store;
    } else if (failure instanceof IOException io) {
      throw io;
    } else if (failure instanceof RuntimeException runtime) {
      throw runtime;
    } else if (failure instanceof Error error) {
      throw error;
    }
  }

  /** Text from users and stores ends up in messages. */
  private static String oneLine(String message) {
    return Text.clean(abridged(message).replaceAll("\\p{IsControl}+", " ").strip());
  }

  private static String abridged(String message) {
    return message.length() <= MAX_BEGINNING_CHARS + MAX_END_CHARS
        ? message
        : message.substring(0, MAX_BEGINNING_CHARS)
            + " … "
            + message.substring(message.length() - MAX_END_CHARS);
  }
}
