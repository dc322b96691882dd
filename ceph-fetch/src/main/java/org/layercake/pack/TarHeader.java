package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;

/** A block of a tar that describes a file or what follows: ustar, or GNU's older format; tar(5). */
final class TarHeader {
  static final int BLOCK = 512;
  static final int NUMBER_BYTES = 12;

  private static final int NAME_BYTES = 100;
  private static final int MODE = 100;
  private static final int MODE_BYTES = 8;
  private static final int SIZE = 124;
  private static final int MTIME = 136;
  private static final int CHECKSUM = 148;
  private static final int CHECKSUM_BYTES = 8;
  private static final int TYPE = 156;
  private static final int LINK = 157;
  private static final int MAGIC = 257;
  private static final int PREFIX = 345;
  private static final int PREFIX_BYTES = 155;

  private final byte[] block;

  private TarHeader(byte[] block) {
    this.block = block;
  }

  /**
   * Takes a block for a header.
   *
   * @throws IOException when it is none
   */
  static TarHeader of(byte[] block) throws IOException {
    String complaint = "not a tar header where one should be: damaged";
    // A sum is never 0: the checksum field itself counts as spaces.
    if (block.length < BLOCK
        || octal(block, CHECKSUM, CHECKSUM_BYTES, complaint) != checksum(block)) {
      throw new IOException(complaint);
    }
    return new TarHeader(block);
  }

  /** A block that goes on with what the one before has no room for, and has no checksum. */
  static TarHeader extension(byte[] block) {
    return new TarHeader(block);
  }

  /** The sum of a header's bytes, with the checksum field taken as spaces; tar(5). */
  static int checksum(byte[] header) {
    int sum = 0;
    for (int i = 0; i < BLOCK; i++) {
      boolean inField = i >= CHECKSUM && i < CHECKSUM + CHECKSUM_BYTES;
      sum += inField ? ' ' : header[i] & 0xff;
    }
    return sum;
  }

  char type() {
    return (char) (block[TYPE] & 0xff);
  }

  String name() {
    String name = text(block, 0, NAME_BYTES);
    // GNU's older format has other things where POSIX has the prefix.
    boolean isPosix = text(block, MAGIC, 6).equals("ustar") && block[MAGIC + 5] == 0;
    String prefix = isPosix ? text(block, PREFIX, PREFIX_BYTES) : "";
    return prefix.isEmpty() ? name : prefix + "/" + name;
  }

  String link() {
    return text(block, LINK, NAME_BYTES);
  }

  int mode() throws IOException {
    return (int) octal(block, MODE, MODE_BYTES, "a malformed mode in a header")
        & TarEntry.PERMISSIONS;
  }

  /** In bytes; negative for what is impossible. */
  long size() throws IOException {
    return number(SIZE);
  }

  /** Since 1970; negative before. */
  long seconds() throws IOException {
    return number(MTIME);
  }

  /** Octal digits, or with the top bit set a big-endian number (GNU); below 0 it is -1. tar(5). */
  long number(int offset) throws IOException {
    if ((block[offset] & 0x80) == 0) {
      return octal(block, offset, NUMBER_BYTES, "a malformed number in a header");
    }
    if ((block[offset] & 0x40) != 0) {
      return -1;
    }
    long value = block[offset] & 0x3f;
    for (int i = 1; i < NUMBER_BYTES; i++) {
      if (value >> 54 != 0) {
        throw new IOException("a number too large in a header");
      }
      value = (value << 8) | (block[offset + i] & 0xff);
    }
    return value;
  }

  boolean isZero(int offset) {
    return block[offset] == 0;
  }

  /** Nothing is 0. */
  private static long octal(byte[] block, int offset, int length, String complaint)
      throws IOException {
    String digits = text(block, offset, length).strip();
    try {
      return digits.isEmpty() ? 0 : Long.parseLong(digits, 8);
    } catch (NumberFormatException e) {
      throw new IOException(complaint, e);
    }
  }

  /** The bytes up to the first that is zero. */
  static String text(byte[] bytes, int offset, int length) {
    int end = offset;
    while (end < offset + length && bytes[end] != 0) {
      end++;
    }
    return new String(bytes, offset, end - offset, ISO_8859_1);
  }
}
