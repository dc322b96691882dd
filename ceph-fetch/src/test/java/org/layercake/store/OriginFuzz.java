package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Optional;

/** Origins as users may have stored them. */
public final class OriginFuzz {
  private OriginFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) {
    Optional<Origin> origin = Origin.read(data);
    if (origin.isPresent()) {
      byte[] bytes = origin.get().bytes();
      assertTrue(origin.get().layers().size() <= Origin.MAX_LAYERS, "too many layers");
      assertTrue(bytes.length <= Origin.MAX_BYTES, "longer than it may be stored");
      assertEquals(origin, Origin.read(bytes));
    }
  }
}
