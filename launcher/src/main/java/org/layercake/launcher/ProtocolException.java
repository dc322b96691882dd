package org.layercake.launcher;

/** The peer did not speak the protocol of docs/protocol.md; its connection is of no further use. */
final class ProtocolException extends Exception {
  ProtocolException(String message) {
    super(message);
  }
}
