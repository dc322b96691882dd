package org.layercake.pack;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * A SIF file of Singularity's or Apptainer's: some data objects with their descriptors in front, of
 * which one is a root file system; pkg/sif of github.com/apptainer/sif.
 */
final class Sif {
  private static final byte[] MAGIC = "SIF_MAGIC\0".getBytes(US_ASCII);
  private static final int MAGIC_OFFSET = 32;
  private static final int HEADER_BYTES = 128;
  private static final int COUNT = 88; // of descriptors, used or not
  private static final int FIRST = 96;
  private static final int DESCRIPTOR_BYTES = 585;
  private static final int IS_USED = 4;
  private static final int OFFSET = 17;
  private static final int BYTES = 25;
  private static final int FILE_SYSTEM = 201;
  private static final int KIND = 205;
  private static final int PARTITION = 0x4004;
  private static final int SQUASHFS = 1;
  private static final int PRIMARY = 2;

  private Sif() {}

  /** Whether a file begins as one. */
  static boolean mayBegin(byte[] start) {
    return start.length >= HEADER_BYTES
        && Arrays.equals(start, MAGIC_OFFSET, MAGIC_OFFSET + MAGIC.length, MAGIC, 0, MAGIC.length);
  }

  /**
   * The squashfs file in it that is its root file system; empty when it has none, or an encrypted
   * one.
   *
   * @param start its first bytes, with all descriptors, which are followed by the objects
   */
  static Optional<Embedded.Part> rootFileSystem(byte[] start) {
    ByteBuffer sif = ByteBuffer.wrap(start).order(ByteOrder.LITTLE_ENDIAN);
    long count = sif.getLong(COUNT);
    long at = sif.getLong(FIRST);
    for (long i = 0; i < count && at >= 0 && at <= start.length - DESCRIPTOR_BYTES; i++) {
      int descriptor = (int) at;
      long offset = sif.getLong(descriptor + OFFSET);
      long bytes = sif.getLong(descriptor + BYTES);
      if (sif.getInt(descriptor) == PARTITION
          && sif.get(descriptor + IS_USED) != 0
          && sif.getInt(descriptor + FILE_SYSTEM) == SQUASHFS
          && sif.getInt(descriptor + KIND) == PRIMARY
          && offset >= HEADER_BYTES
          && bytes > 0) {
        return Optional.of(new Embedded.Part(offset, OptionalLong.of(bytes)));
      }
      at += DESCRIPTOR_BYTES;
    }
    return Optional.empty();
  }
}
