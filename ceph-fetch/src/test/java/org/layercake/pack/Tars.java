package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.util.Arrays;

/** Headers of tars, for tests; tar(5). */
final class Tars {
  private static final int BLOCK = TarHeader.BLOCK;
  private static final int NAME_BYTES = 100;
  private static final int CHECKSUM = 148;
  private static final long MAX_OCTAL = 1L << 33; // eleven digits

  private Tars() {}

  /** A ustar header, all zeros where it says nothing. */
  static byte[] header(String path, char type, int mode, long seconds, String link, long bytes) {
    byte[] header = new byte[BLOCK];
    put(header, 0, NAME_BYTES, path);
    putOctal(header, 100, 7, mode);
    putOctal(header, 108, 7, 0);
    putOctal(header, 116, 7, 0);
    putOctal(header, 124, 11, Math.min(bytes, MAX_OCTAL - 1));
    putOctal(header, 136, 11, seconds);
    header[156] = (byte) type;
    put(header, 157, NAME_BYTES, link);
    put(header, 257, 6, "ustar");
    put(header, 263, 2, "00");
    putChecksum(header, 0);
    return header;
  }

  /** Makes the checksum of a header in a tar right. */
  static void putChecksum(byte[] tar, int offset) {
    byte[] header = Arrays.copyOfRange(tar, offset, offset + BLOCK);
    putOctal(header, CHECKSUM, 6, TarHeader.checksum(header));
    header[CHECKSUM + 6] = 0;
    header[CHECKSUM + 7] = ' ';
    System.arraycopy(header, 0, tar, offset, BLOCK);
  }

  private static void put(byte[] header, int offset, int length, String text) {
    byte[] bytes = text.getBytes(ISO_8859_1);
    System.arraycopy(bytes, 0, header, offset, Math.min(length, bytes.length));
  }

  private static void putOctal(byte[] header, int offset, int digits, long number) {
    long left = number;
    for (int at = offset + digits - 1; at >= offset; at--) {
      header[at] = (byte) ('0' + (left & 7));
      left >>= 3;
    }
  }
}
