package org.layercake.pack;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.Oracle.requireLine;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/**
 * Tars of file trees, as they come and with their headers' checksums put right, which no fuzzer
 * would guess.
 */
public final class TarReaderFuzz {
  private static final String SOURCE = "image.tar";
  private static final byte[] MAGIC = "ustar".getBytes(US_ASCII);
  private static final int MAGIC_OFFSET = 257;

  private TarReaderFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) {
    byte[] repaired = repaired(data);
    if (!Arrays.equals(data, repaired)) {
      entries(data);
    }
    check(repaired);
  }

  private static byte[] repaired(byte[] data) {
    byte[] tar = data.clone();
    for (int at = 0; at + TarHeader.BLOCK <= tar.length; at += TarHeader.BLOCK) {
      int magic = at + MAGIC_OFFSET;
      if (Arrays.equals(tar, magic, magic + MAGIC.length, MAGIC, 0, MAGIC.length)) {
        Tars.putChecksum(tar, at);
      }
    }
    return tar;
  }

  private static void check(byte[] tar) {
    TarReader.mayBegin(tar);
    LayeredImage.mayBegin(tar);
    boolean hasWhiteouts = entries(tar);
    Proof plain =
        proof(() -> PackedTree.check(out -> PlainTar.pack(new ByteArrayInputStream(tar), out)));
    Proof layer = proof(() -> PackedTree.check(layers(tar)));
    if (plain != null && !hasWhiteouts) {
      assertTrue(plain.equals(layer), "a tar is another tree as an image's only layer: " + layer);
    }
  }

  private interface Check {
    Packer.Result run() throws IOException;
  }

  /** Of the tree that it comes to; null when it is refused. */
  private static Proof proof(Check check) {
    try {
      return check.run().proof();
    } catch (IOException e) {
      requireReason(e);
      return null;
    }
  }

  /** What a push says of it. */
  static void requireReason(IOException e) {
    assertNotNull(e.getMessage(), "a failure without a reason");
    requireLine(BadSource.of(SOURCE, e.getMessage()).getMessage());
  }

  private static List<Layers.Layer> layers(byte[] tar) {
    return List.of(() -> new ByteArrayInputStream(tar));
  }

  /** Reads all entries; true if there is one that a layer would take for a whiteout. */
  private static boolean entries(byte[] tar) {
    boolean hasWhiteouts = false;
    try {
      TarReader reader = new TarReader(new ByteArrayInputStream(tar));
      Counted counted = new Counted();
      for (TarEntry entry; (entry = reader.next()) != null; ) {
        checkEntry(entry);
        hasWhiteouts |= (entry.path() + entry.link()).contains(".wh.");
        reader.content().copyTo(counted);
        long bytes = counted.bytes + counted.zeros;
        assertTrue(
            bytes == entry.bytes(), "a content of " + bytes + " bytes, not " + entry.bytes());
        counted.allBytes += counted.bytes;
        counted.bytes = 0;
        counted.zeros = 0;
        assertTrue(counted.allBytes <= tar.length, "contents of " + counted.allBytes + " bytes");
      }
    } catch (IOException e) {
      requireReason(e);
    }
    return hasWhiteouts;
  }

  private static void checkEntry(TarEntry entry) {
    List<String> parts = List.of(entry.path().split("/", -1));
    assertTrue(
        entry.path().isEmpty()
            || (!parts.contains("") && !parts.contains(".") && !parts.contains("..")),
        "a path \"" + entry.path() + "\"");
    assertTrue(entry.path().length() <= TarEntry.MAX_PATH_BYTES, "a long path");
    assertTrue(parts.stream().allMatch(p -> p.length() <= TarEntry.MAX_NAME_BYTES), "a long name");
    assertTrue(entry.link().length() <= TarEntry.MAX_PATH_BYTES, "a long link");
    assertTrue((entry.path() + entry.link()).indexOf('\0') < 0, "a path with a zero byte");
    assertTrue("0123456".indexOf(entry.type()) >= 0, "an entry of type " + entry.type());
    assertTrue((entry.mode() & ~TarEntry.PERMISSIONS) == 0, "a mode " + entry.mode());
    assertTrue(entry.seconds() >= 0 && entry.seconds() <= TarEntry.MAX_SECONDS, "a time");
    assertTrue(entry.bytes() >= 0, "a size " + entry.bytes());
  }

  private static final class Counted extends SparseOutput {
    private long bytes;
    private long zeros;
    private long allBytes;

    @Override
    public void write(byte[] from, int offset, int length) {
      bytes += length;
    }

    @Override
    void hole(long count) {
      assertTrue(count > 0, "a hole of " + count + " bytes");
      zeros += count;
    }
  }
}
