package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.Oracle.requireLine;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Arrays;

/** Manifests as a store may hold them: only the one encoding of one is read. */
public final class ManifestFuzz {
  private ManifestFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) throws IOException {
    try {
      check(Manifest.read(new ByteArrayInputStream(data), Digest.of(data)), data);
    } catch (Manifest.MalformedException e) {
      assertTrue(!e.isDamaged(), "bytes of the right digest are called damaged");
      requireLine(new StoreException(StoreException.Kind.CORRUPT, e.getMessage()).getMessage());
    }
  }

  private static void check(Manifest manifest, byte[] data) throws IOException {
    assertTrue(Arrays.equals(manifest.bytes(), data), "written in another way than it was read");
    long end = 0;
    for (Manifest.Chunk chunk : manifest.chunks()) {
      assertTrue(chunk.offset() == end, "a gap between chunks");
      assertTrue(
          chunk.length() >= 1 && chunk.length() <= Manifest.MAX_CHUNK_BYTES, "a chunk's size");
      end += chunk.length();
    }
    assertTrue(end == manifest.size(), "chunks of another size than the file");
    assertTrue(manifest.distinctBytes() <= end, "more in distinct chunks than in all");
    requireDamaged(data);
  }

  /** The same bytes in place of others are a fault of the store, not of whoever wrote them. */
  private static void requireDamaged(byte[] data) throws IOException {
    try {
      Manifest.read(new ByteArrayInputStream(data), Digest.of(new byte[0]));
      throw new AssertionError("read by another digest");
    } catch (Manifest.MalformedException e) {
      assertTrue(e.isDamaged(), "other bytes are not called damaged");
    }
  }
}
