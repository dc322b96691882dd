package org.layercake.pack;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * Where in another file a squashfs file is: in a SIF file, behind a program, as in an AppImage, or
 * behind a line that names an interpreter, as in images of Singularity 2.
 */
final class Embedded {
  private static final int MAX_LINE_BYTES = 256;
  private static final long MAX_PROGRAM_BYTES = 64 << 20;
  private static final int ELF_HEADER_BYTES = 64;
  private static final int ELF_CLASS = 4;
  private static final int ELF_DATA = 5;
  private static final int BIG_ENDIAN = 2;

  private Embedded() {}

  /**
   * A part of a file.
   *
   * @param bytes empty where nothing says so: it may be no squashfs file then
   */
  record Part(long offset, OptionalLong bytes) {}

  /**
   * The part that is a squashfs file, or may be one.
   *
   * @param start of the file
   */
  static Optional<Part> find(byte[] start) {
    if (Sif.mayBegin(start)) {
      return Sif.rootFileSystem(start);
    }
    return end(start)
        .filter(end -> end > 0 && end <= MAX_PROGRAM_BYTES)
        .map(end -> new Part(end, OptionalLong.empty()));
  }

  /** Where a program or a line ends. */
  private static Optional<Long> end(byte[] start) {
    if (start.length >= ELF_HEADER_BYTES
        && Arrays.equals(start, 0, 4, new byte[] {0x7f, 'E', 'L', 'F'}, 0, 4)) {
      return Optional.of(programEnd(ByteBuffer.wrap(start)));
    }
    String line = new String(start, 0, Math.min(start.length, MAX_LINE_BYTES), US_ASCII);
    int end = line.indexOf('\n') + 1;
    boolean isFollowed = line.startsWith("#!") && end > 0 && line.startsWith("hsqs", end);
    return isFollowed ? Optional.of((long) end) : Optional.empty();
  }

  /** Behind its table of sections, which linkers put last; elf(5). 0 when it has none. */
  private static long programEnd(ByteBuffer elf) {
    elf.order(elf.get(ELF_DATA) == BIG_ENDIAN ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
    boolean isWide = elf.get(ELF_CLASS) == 2;
    long table = isWide ? elf.getLong(40) : Integer.toUnsignedLong(elf.getInt(32));
    int size = Short.toUnsignedInt(elf.getShort(isWide ? 58 : 46));
    int count = Short.toUnsignedInt(elf.getShort(isWide ? 60 : 48));
    return table <= 0 || table > MAX_PROGRAM_BYTES ? 0 : table + (long) size * count;
  }
}
