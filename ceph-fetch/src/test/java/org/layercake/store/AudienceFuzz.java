package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.Oracle.requireLine;

import java.util.Arrays;
import java.util.Optional;

/** Whom an image is shared with, as a store may hold it. */
public final class AudienceFuzz {
  private AudienceFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) throws StoreException {
    Audience audience;
    try {
      audience = Audience.parse(data);
    } catch (StoreException e) {
      requireLine(e.getMessage());
      assertEquals(Audience.NOBODY, Audience.read(Optional.of(data)));
      return;
    }
    assertTrue(Arrays.equals(audience.bytes(), data), "written in another way than it was read");
    assertEquals(audience, Audience.parse(audience.bytes()));
    assertEquals(audience, audience.with(audience));
    assertEquals(Audience.NOBODY, audience.without(audience));
    assertTrue(
        audience.all() || !audience.admits("nobody-of-these", group -> false), "admits anybody");
    assertTrue(
        audience.users().stream().allMatch(user -> audience.admits(user, group -> false)),
        "does not admit its users");
    assertTrue(audience.toString().equals(Text.clean(audience.toString())), "cannot be printed");
  }
}
