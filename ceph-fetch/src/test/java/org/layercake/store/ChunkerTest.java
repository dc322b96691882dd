package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The first test pins the format: docs/store-format.md has the same numbers. */
class ChunkerTest {
  @Test
  void cutsOfAKnownStreamNeverChange() {
    // 16 MiB of a linear congruential generator: x = x * 1103515245 + 12345 mod 2^32, bits 16..23.
    byte[] bytes = new byte[16 << 20];
    int x = 1;
    for (int i = 0; i < bytes.length; i++) {
      x = x * 1103515245 + 12345;
      bytes[i] = (byte) (x >>> 16);
    }
    assertEquals(
        List.of(1277160, 1178441, 1263554, 1475393, 1231499), lengths(bytes).subList(0, 5));
  }

  @Test
  void chunksAreWithinBoundsAndAboutAMebibyte() {
    byte[] bytes = random(200 << 20, 1);
    List<Integer> lengths = lengths(bytes);
    assertEquals(bytes.length, lengths.stream().mapToInt(i -> i).sum());
    for (int length : lengths.subList(0, lengths.size() - 1)) {
      assertTrue(length > Chunker.MIN_BYTES && length <= Chunker.MAX_BYTES, "" + length);
    }
    double mean = (double) bytes.length / lengths.size();
    assertTrue(mean > 0.9 * (1 << 20) && mean < 1.5 * (1 << 20), "mean " + mean);
  }

  @Test
  void shortFilesAndZerosAreCutAtTheBounds() {
    assertEquals(List.of(1), lengths(new byte[1]));
    assertEquals(List.of(Chunker.MIN_BYTES), lengths(new byte[Chunker.MIN_BYTES]));
    assertEquals(List.of(Chunker.MAX_BYTES, 5), lengths(new byte[Chunker.MAX_BYTES + 5]));
  }

  @Test
  void insertedByteMovesTheChunksWithoutChangingThem() {
    byte[] before = random(64 << 20, 2);
    byte[] after = new byte[before.length + 1];
    System.arraycopy(before, 0, after, 1, before.length);
    Set<Digest> known = new HashSet<>(digests(before));
    List<Digest> moved = digests(after);
    long same = moved.stream().filter(known::contains).count();
    assertTrue(same >= moved.size() - 3, same + " of " + moved.size());
  }

  private static List<Integer> lengths(byte[] bytes) {
    List<Integer> lengths = new ArrayList<>();
    for (int from = 0; from < bytes.length; ) {
      int length = Chunker.cut(bytes, from, bytes.length);
      lengths.add(length);
      from += length;
    }
    return lengths;
  }

  private static List<Digest> digests(byte[] bytes) {
    List<Digest> digests = new ArrayList<>();
    int from = 0;
    for (int length : lengths(bytes)) {
      digests.add(Digest.of(java.nio.ByteBuffer.wrap(bytes, from, length)));
      from += length;
    }
    return digests;
  }

  private static byte[] random(int size, long seed) {
    byte[] bytes = new byte[size];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }
}
