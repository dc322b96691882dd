package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.Oracle.requireLine;

import java.util.Arrays;
import java.util.HashSet;

/** Start profiles as a store may hold them, of an image of as many chunks as two bytes say. */
public final class StartProfileFuzz {
  private StartProfileFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) throws StoreException {
    if (data.length < 2) {
      return;
    }
    int imageChunks = (data[0] & 0xff) << 8 | (data[1] & 0xff);
    byte[] bytes = Arrays.copyOfRange(data, 2, data.length);
    StartProfile profile;
    try {
      profile = StartProfile.parse(bytes, imageChunks);
    } catch (StoreException e) {
      requireLine(e.getMessage());
      return;
    }
    assertTrue(
        profile.chunks().stream().allMatch(chunk -> chunk >= 0 && chunk < imageChunks),
        "a chunk that the image does not have");
    assertTrue(new HashSet<>(profile.chunks()).size() == profile.chunks().size(), "a chunk twice");
    assertTrue(profile.bytes().length <= StartProfile.MAX_BYTES, "longer than it may be stored");
    assertEquals(profile, StartProfile.parse(profile.bytes(), imageChunks));
    assertEquals(profile, profile.with(profile));
    assertEquals(profile, profile.first(1).with(profile));
  }
}
