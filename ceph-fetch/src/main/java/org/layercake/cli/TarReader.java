package org.layercake.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The entries of a tar stream, with their headers as they are: ustar, pax (POSIX.1-2001, pax(1))
 * and GNU long names (tar(5)). Libraries decode names, which are any bytes; here a string has one
 * character for each byte, ISO 8859-1.
 */
final class TarReader {
  static final int BLOCK = 512;
  private static final int NAME = 0;
  private static final int NAME_BYTES = 100;
  private static final int SIZE = 124;
  private static final int NUMBER_BYTES = 12;
  private static final int CHECKSUM = 148;
  private static final int CHECKSUM_BYTES = 8;
  private static final int TYPE = 156;
  private static final int LINK = 157;
  private static final int MAGIC = 257;
  private static final int PREFIX = 345;
  private static final int PREFIX_BYTES = 155;
  private static final int MAX_EXTENSION_BYTES = 1 << 20;
  private static final int MAX_PATH_BYTES = 4095;
  private static final String TYPES = "0123456";

  /**
   * One file of a tar.
   *
   * @param path as it is written, but without "." components and slashes at its ends
   * @param type as in tar(5); {@code '0'} for all that is a regular file
   * @param link target of a link as it is written
   * @param bytes what follows the headers, without the padding
   * @param pax extended header records that apply to it
   * @param header the 512 bytes of its own
   */
  record Entry(
      String path, char type, String link, long bytes, Map<String, String> pax, byte[] header) {}

  private final InputStream in;
  private final Map<String, String> global = new LinkedHashMap<>();
  private long unread;

  TarReader(InputStream in) {
    this.in = in;
  }

  /**
   * Moves on to the next entry.
   *
   * @return null at the end mark
   * @throws IOException when this is no whole tar, with the reason for people
   */
  Entry next() throws IOException {
    skip(unread);
    unread = 0;
    Map<String, String> pax = new LinkedHashMap<>(global);
    String longName = null;
    String longLink = null;
    while (true) {
      byte[] header = block();
      if (isZero(header)) {
        return null;
      }
      requireChecksum(header);
      char type = (char) (header[TYPE] & 0xff);
      switch (type) {
        case 'x' -> readPax(extension(header), pax);
        case 'g' -> {
          readPax(extension(header), global);
          pax.putAll(global);
        }
        case 'L' -> longName = text(extension(header));
        case 'K' -> longLink = text(extension(header));
        default -> {
          return entry(header, type, pax, longName, longLink);
        }
      }
    }
  }

  /** What of the last entry has not been read yet, padding included. */
  InputStream content() {
    return new InputStream() {
      @Override
      public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
      }

      @Override
      public int read(byte[] bytes, int offset, int length) throws IOException {
        if (unread == 0) {
          return -1;
        }
        int count = in.read(bytes, offset, (int) Math.min(length, unread));
        if (count < 0) {
          throw truncated();
        }
        unread -= count;
        return count;
      }
    };
  }

  private Entry entry(
      byte[] header, char type, Map<String, String> pax, String longName, String longLink)
      throws IOException {
    String name = pax.getOrDefault("path", longName);
    name = name != null ? name : headerName(header);
    String link = pax.getOrDefault("linkpath", longLink);
    link = link != null ? link : text(header, LINK, NAME_BYTES);
    char kind = type == 0 || type == '7' ? '0' : type;
    if (kind == 'S' || pax.keySet().stream().anyMatch(key -> key.startsWith("GNU.sparse."))) {
      throw new IOException("file \"" + name + "\" is sparse (make the archive without --sparse)");
    }
    if (TYPES.indexOf(kind) < 0) {
      throw new IOException("entry \"" + name + "\" is of the unknown type '" + kind + "'");
    }
    // Old archives say with a slash what is a directory.
    kind = kind == '0' && name.endsWith("/") ? '5' : kind;
    String paxSize = pax.get("size");
    long bytes = paxSize != null ? decimal(paxSize) : number(header, SIZE);
    bytes = kind == '0' ? bytes : 0;
    if (bytes < 0) {
      throw new IOException("entry \"" + name + "\" has a negative size");
    }
    unread = (bytes + BLOCK - 1) / BLOCK * BLOCK;
    return new Entry(normalized(name), kind, link, bytes, pax, header);
  }

  private static String headerName(byte[] header) {
    String name = text(header, NAME, NAME_BYTES);
    // GNU's older format has other things where POSIX has the prefix.
    String prefix = isPosix(header) ? text(header, PREFIX, PREFIX_BYTES) : "";
    return prefix.isEmpty() ? name : prefix + "/" + name;
  }

  private static boolean isPosix(byte[] header) {
    return text(header, MAGIC, 6).equals("ustar") && header[MAGIC + 5] == 0;
  }

  private static String normalized(String name) throws IOException {
    if (name.startsWith("/")) {
      throw new IOException("entry \"" + name + "\" has an absolute name");
    }
    if (name.length() > MAX_PATH_BYTES) {
      throw new IOException("an entry's name is longer than " + MAX_PATH_BYTES + " bytes");
    }
    List<String> parts = new ArrayList<>();
    for (String part : name.split("/", -1)) {
      if (part.equals("..")) {
        throw new IOException("entry \"" + name + "\" has \"..\" in its name");
      }
      if (!part.isEmpty() && !part.equals(".")) {
        parts.add(part);
      }
    }
    return String.join("/", parts);
  }

  /** What an extension header, of type x, g, L or K, is about. */
  private byte[] extension(byte[] header) throws IOException {
    long size = number(header, SIZE);
    if (size < 0 || size > MAX_EXTENSION_BYTES) {
      throw new IOException("an extended header of " + size + " bytes");
    }
    byte[] bytes = in.readNBytes((int) size);
    if (bytes.length < size) {
      throw truncated();
    }
    skip((BLOCK - size % BLOCK) % BLOCK);
    return bytes;
  }

  /** Records {@code LENGTH NAME=VALUE\n}, the length being that of the whole record; pax(1). */
  private static void readPax(byte[] bytes, Map<String, String> records) throws IOException {
    String text = new String(bytes, ISO_8859_1);
    for (int at = 0; at < text.length(); ) {
      int space = text.indexOf(' ', at);
      long length = space < 0 ? -1 : decimal(text.substring(at, space));
      int end = (int) Math.min(at + length, Integer.MAX_VALUE);
      int equals = space < 0 ? -1 : text.indexOf('=', space);
      if (length < 0
          || end > text.length()
          || equals < 0
          || equals >= end
          || text.charAt(end - 1) != '\n') {
        throw new IOException("a malformed extended header");
      }
      records.put(text.substring(space + 1, equals), text.substring(equals + 1, end - 1));
      at = end;
    }
  }

  private static long decimal(String text) throws IOException {
    try {
      return Long.parseLong(text);
    } catch (NumberFormatException e) {
      throw new IOException("a malformed number in an extended header", e);
    }
  }

  /** Octal digits, or with the top bit set a big-endian number (GNU); tar(5). */
  private static long number(byte[] header, int offset) throws IOException {
    if ((header[offset] & 0x80) != 0) {
      long value = header[offset] & 0x3f;
      for (int i = 1; i < NUMBER_BYTES; i++) {
        if (value >> 54 != 0) {
          throw new IOException("a number too large in a header");
        }
        value = (value << 8) | (header[offset + i] & 0xff);
      }
      return value;
    }
    return octal(header, offset, NUMBER_BYTES, "a malformed number in a header");
  }

  /** Nothing is 0. */
  private static long octal(byte[] header, int offset, int length, String complaint)
      throws IOException {
    String digits = text(header, offset, length).strip();
    try {
      return digits.isEmpty() ? 0 : Long.parseLong(digits, 8);
    } catch (NumberFormatException e) {
      throw new IOException(complaint, e);
    }
  }

  /** A sum is never 0: the checksum field itself counts as spaces. */
  private static void requireChecksum(byte[] header) throws IOException {
    String complaint = "not a tar header where one should be: damaged";
    if (octal(header, CHECKSUM, CHECKSUM_BYTES, complaint) != checksum(header)) {
      throw new IOException(complaint);
    }
  }

  /** The sum of a header's bytes, with the checksum field taken as spaces; tar(5). */
  private static int checksum(byte[] header) {
    int sum = 0;
    for (int i = 0; i < BLOCK; i++) {
      boolean inField = i >= CHECKSUM && i < CHECKSUM + CHECKSUM_BYTES;
      sum += inField ? ' ' : header[i] & 0xff;
    }
    return sum;
  }

  /**
   * A header with another name, type, link and size; what does not fit has to be said in an
   * extended header.
   */
  static byte[] rewritten(byte[] header, String path, char type, String link, long bytes) {
    byte[] copy = header.clone();
    put(copy, NAME, NAME_BYTES, path);
    put(copy, LINK, NAME_BYTES, link);
    copy[TYPE] = (byte) type;
    if (isPosix(copy)) {
      put(copy, PREFIX, PREFIX_BYTES, "");
    }
    put(copy, SIZE, NUMBER_BYTES, String.format("%011o", Math.min(bytes, (1L << 33) - 1)));
    put(copy, CHECKSUM, CHECKSUM_BYTES, String.format("%06o", checksum(copy)));
    copy[CHECKSUM + CHECKSUM_BYTES - 1] = ' ';
    return copy;
  }

  /** A header for what has none of its own. */
  static byte[] header(String path, char type, String mode, long bytes) {
    byte[] header = new byte[BLOCK];
    put(header, 100, 8, mode);
    put(header, 108, 8, "0000000");
    put(header, 116, 8, "0000000");
    put(header, 136, NUMBER_BYTES, "00000000000");
    put(header, MAGIC, 6, "ustar");
    put(header, MAGIC + 6, 2, "00");
    return rewritten(header, path, type, "", bytes);
  }

  static boolean fits(String name) {
    return name.length() <= NAME_BYTES;
  }

  private static void put(byte[] header, int offset, int length, String text) {
    byte[] bytes = text.getBytes(ISO_8859_1);
    Arrays.fill(header, offset, offset + length, (byte) 0);
    System.arraycopy(bytes, 0, header, offset, Math.min(length, bytes.length));
  }

  private static String text(byte[] bytes) {
    return text(bytes, 0, bytes.length);
  }

  private static String text(byte[] bytes, int offset, int length) {
    int end = offset;
    while (end < offset + length && bytes[end] != 0) {
      end++;
    }
    return new String(bytes, offset, end - offset, ISO_8859_1);
  }

  private byte[] block() throws IOException {
    byte[] block = in.readNBytes(BLOCK);
    if (block.length < BLOCK) {
      throw truncated();
    }
    return block;
  }

  private void skip(long bytes) throws IOException {
    try {
      in.skipNBytes(bytes);
    } catch (java.io.EOFException e) {
      throw truncated();
    }
  }

  private static boolean isZero(byte[] block) {
    for (byte b : block) {
      if (b != 0) {
        return false;
      }
    }
    return true;
  }

  private static IOException truncated() {
    return new IOException("it ends too early, without a tar file's end mark: truncated");
  }
}
