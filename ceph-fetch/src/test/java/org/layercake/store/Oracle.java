package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

/** What holds for every input, whatever a fuzzer makes of it. */
public final class Oracle {
  private static final int MAX_MESSAGE_CHARS = 10_000; // room for two paths

  private Oracle() {}

  /** A message gives a reason, in one line of bounded length that moves no cursor. */
  public static void requireLine(String message) {
    assertFalse(message.isBlank() || message.endsWith(":"), "a failure without a reason");
    assertEquals(Text.clean(message), message);
    assertTrue(message.length() <= MAX_MESSAGE_CHARS, "a message of " + message.length());
  }
}
