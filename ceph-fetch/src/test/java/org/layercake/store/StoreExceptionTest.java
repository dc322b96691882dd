package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.StoreException.Kind.BAD_SOURCE;

import org.junit.jupiter.api.Test;

class StoreExceptionTest {
  @Test
  void aMessageIsOneLineThatMovesNoCursor() {
    assertEquals("a b?c", new StoreException(BAD_SOURCE, "a\r\n\tb\u202ec\n").getMessage());
  }

  /** Whoever made an archive chose the names in it, and a document may have 4 MB. */
  @Test
  void aMessageWithALongNameKeepsItsBeginningAndItsEnd() {
    String message =
        new StoreException(BAD_SOURCE, "cannot push a: " + "\ud83c\udf70".repeat(1 << 20) + " (do)")
            .getMessage();
    assertTrue(message.startsWith("cannot push a: "));
    assertTrue(message.endsWith(" (do)"));
    assertTrue(message.length() < 10_000);
    assertEquals(Text.clean(message), message);
  }
}
