package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.store.Digest;
import org.layercake.store.Manifest;

class FillMapTest {
  /** The example of docs/protocol.md. */
  private static final String EXAMPLE =
      "4c434b4d41500001"
          + "03000000"
          + "00000000"
          + "2d01000000000000"
          + "0a00000000000000"
          + "2c01000000000000"
          + "2d01000000000000"
          + "010000";

  @TempDir Path directory;
  private Path path;

  @BeforeEach
  void createExample() throws Exception {
    path = directory.resolve("map");
    Digest any = Digest.of(new byte[0]);
    List<Manifest.Chunk> chunks =
        List.of(
            new Manifest.Chunk(any, 0, 10),
            new Manifest.Chunk(any, 10, 290),
            new Manifest.Chunk(any, 300, 1));
    try (FillMap map = FillMap.create(path, chunks)) {
      map.set(0, FillMap.State.PRESENT);
    }
  }

  @Test
  void itsBytesAreThoseOfTheProtocol() throws Exception {
    assertEquals(EXAMPLE, HexFormat.of().formatHex(Files.readAllBytes(path)));
  }

  @Test
  void theNextLauncherReadsWhatIsThereAndTriesAgainWhatWasGivenUp() throws Exception {
    try (FillMap map = FillMap.open(path)) {
      map.set(1, FillMap.State.GIVEN_UP);
    }
    try (FillMap map = FillMap.open(path)) {
      assertEquals(List.of(301L, 10L, 290L), List.of(map.bytes(), map.offset(1), map.length(1)));
      assertTrue(map.is(0, FillMap.State.PRESENT));
      BitSet missing = new BitSet();
      missing.set(1, 3);
      assertEquals(missing, map.missing());
    }
  }

  @Test
  void aMapThatIsNotWholeIsRefused() throws Exception {
    byte[] whole = Files.readAllBytes(path);
    for (int length : new int[] {0, 8, 23, 24, whole.length - 1}) {
      Files.write(path, java.util.Arrays.copyOf(whole, length));
      assertThrows(IOException.class, () -> FillMap.open(path), length + " bytes");
    }
  }
}
