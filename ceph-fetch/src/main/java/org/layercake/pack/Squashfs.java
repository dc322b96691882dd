package org.layercake.pack;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.layercake.store.StoreException;

/** What the superblock of a squashfs file says. */
final class Squashfs {
  private static final int MAGIC = 0x73717368;
  private static final int SUPERBLOCK_BYTES = 96;
  private static final int MAJOR_OFFSET = 28;
  private static final int SIZE_OFFSET = 40;
  private static final int PADDING = 4096; // mksquashfs' own

  private Squashfs() {}

  static boolean mayBegin(byte[] start) {
    return start.length >= SUPERBLOCK_BYTES && littleEndian(start).getInt(0) == MAGIC;
  }

  /** As many as mksquashfs makes of it: what is behind them is no part of it. */
  static long bytes(byte[] start) {
    long bytes = Math.max(0, littleEndian(start).getLong(SIZE_OFFSET));
    return (bytes + PADDING - 1) / PADDING * PADDING;
  }

  /** Refuses what is cut off, or of another version. */
  static void require(Path file, String name) throws StoreException, IOException {
    byte[] start;
    try (InputStream in = Files.newInputStream(file)) {
      start = in.readNBytes(SUPERBLOCK_BYTES);
    }
    if (!mayBegin(start)) {
      throw BadSource.of(name, "what should be the squashfs file in it is none: damaged");
    }
    ByteBuffer superblock = littleEndian(start);
    long size = superblock.getLong(SIZE_OFFSET);
    if (superblock.getShort(MAJOR_OFFSET) != 4) {
      throw BadSource.of(name, "not a squashfs file of version 4");
    }
    if (size < 0 || size > Files.size(file)) {
      throw BadSource.of(
          name, "truncated: its superblock says " + size + " bytes, it has " + Files.size(file));
    }
  }

  private static ByteBuffer littleEndian(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
