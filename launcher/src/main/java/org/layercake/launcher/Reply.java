package org.layercake.launcher;

import java.util.List;

/**
 * What the launcher answers; only {@link Progress} and {@link Report} are followed by another
 * reply.
 */
sealed interface Reply {
  record Ok() implements Reply {}

  /** A line for the user, without newline; empty when there is nothing new but life to report. */
  record Progress(String text) implements Reply {}

  /** The image's environment as {@code NAME=VALUE}; the namespace fds travel beside the frame. */
  record Entered(List<String> environment) implements Reply {}

  /** The session is the host's: its job has no container here. */
  record Host() implements Reply {}

  /** A part of a report, which is all of the parts before an {@link Ok}. */
  record Report(String text) implements Reply {}

  /** The request failed: exit code of sysexits(3) and a one-line message. */
  record Failed(int exitCode, String message) implements Reply {}
}
