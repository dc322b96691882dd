package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The entries of a tar stream: ustar, pax (POSIX.1-2001, pax(1)) and GNU long names (tar(5)).
 * Libraries decode names, which are any bytes; here a string has one character for each byte, ISO
 * 8859-1.
 */
final class TarReader {
  static final int BLOCK = 512;
  static final char FILE = '0';
  static final char HARD_LINK = '1';
  static final char SYMBOLIC_LINK = '2';
  static final char CHARACTER_DEVICE = '3';
  static final char BLOCK_DEVICE = '4';
  static final char DIRECTORY = '5';
  static final char FIFO = '6';

  private static final int NAME_BYTES = 100;
  private static final int MODE = 100;
  private static final int MODE_BYTES = 8;
  private static final int SIZE = 124;
  private static final int MTIME = 136;
  private static final int NUMBER_BYTES = 12;
  private static final int CHECKSUM = 148;
  private static final int CHECKSUM_BYTES = 8;
  private static final int TYPE = 156;
  private static final int LINK = 157;
  private static final int MAGIC = 257;
  private static final int PREFIX = 345;
  private static final int PREFIX_BYTES = 155;
  private static final int MAX_EXTENSION_BYTES = 1 << 20;
  private static final int MAX_EXTENSIONS = 16;
  static final int MAX_PATH_BYTES = 4095; // PATH_MAX
  static final int MAX_NAME_BYTES = 255; // NAME_MAX, XATTR_NAME_MAX
  static final int MAX_ATTRIBUTE_BYTES = 1 << 16; // XATTR_SIZE_MAX
  private static final int MAX_ATTRIBUTE_NAMES_BYTES = 1 << 16; // XATTR_LIST_MAX
  static final int PERMISSIONS = 07777;
  static final long MAX_SECONDS = 0xffff_ffffL; // squashfs has 32 bits
  private static final String TYPES = "0123456";
  // GNU tar, bsdtar and Go's library, so docker, write an attribute's name and bytes so.
  private static final String ATTRIBUTE = "SCHILY.xattr.";
  private static final String USER_ATTRIBUTE = ATTRIBUTE + "user.";
  private static final String SPARSE = "GNU.sparse.";
  private static final String SPARSE_NAME = "GNU.sparse.name";

  /**
   * One file of a tar.
   *
   * @param path as it is written, but without "." components and slashes at its ends
   * @param type as in tar(5); {@link #FILE} for all that is a regular file
   * @param mode permissions with setuid, setgid and sticky bit
   * @param seconds modification time since 1970, as near as squashfs can say it
   * @param link target of a link as it is written
   * @param bytes what follows the headers, without the padding
   * @param attributes extended attributes of the namespace {@code user}, by name
   */
  record Entry(
      String path,
      char type,
      int mode,
      long seconds,
      String link,
      long bytes,
      SortedMap<String, String> attributes) {

    boolean isDirectory() {
      return type == DIRECTORY;
    }
  }

  private final InputStream in;
  private final Map<String, String> global = new HashMap<>();
  private final byte[] buffer = new byte[1 << 17];
  private long content; // of the last entry, that has not been read
  private long unread; // the same with the padding

  TarReader(InputStream in) {
    this.in = in;
  }

  /** Whether bytes are the beginning of a tar. */
  static boolean mayBegin(byte[] start) {
    try {
      requireChecksum(start);
      return true;
    } catch (IOException e) {
      return false;
    }
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
    Map<String, String> pax = new HashMap<>(global);
    for (int extensions = 0; extensions <= MAX_EXTENSIONS; extensions++) {
      byte[] header = block();
      if (isZero(header, BLOCK)) {
        return null;
      }
      requireChecksum(header);
      char type = (char) (header[TYPE] & 0xff);
      switch (type) {
        case 'x' -> readPax(extension(header), pax);
        case 'g' -> readGlobal(extension(header), pax);
        case 'L' -> pax.putIfAbsent("path", text(extension(header)));
        case 'K' -> pax.putIfAbsent("linkpath", text(extension(header)));
        default -> {
          return entry(header, type, pax);
        }
      }
    }
    throw new IOException("more than " + MAX_EXTENSIONS + " extended headers in a row");
  }

  /** Copies the last entry's content, without the padding. */
  void copyContent(OutputStream out) throws IOException {
    while (content > 0) {
      int count = in.read(buffer, 0, (int) Math.min(buffer.length, content));
      if (count < 0) {
        throw truncated();
      }
      out.write(buffer, 0, count);
      content -= count;
      unread -= count;
    }
  }

  /**
   * After the end mark's first block there is its second, and then nothing; tar(5). Else a part of
   * what someone has put together would be missing without a word.
   */
  void requireEnd() throws IOException {
    if (!isZero(block(), BLOCK)) {
      throw new IOException("something follows its end mark");
    }
    for (int count; (count = in.read(buffer)) >= 0; ) {
      if (!isZero(buffer, count)) {
        throw new IOException("something follows its end mark");
      }
    }
  }

  private Entry entry(byte[] header, char type, Map<String, String> pax) throws IOException {
    String name = plain(pax.getOrDefault("path", headerName(header)));
    String link = plain(pax.getOrDefault("linkpath", text(header, LINK, NAME_BYTES)));
    char kind = type == 0 || type == '7' ? FILE : type;
    if (kind == 'S' || pax.containsKey(SPARSE)) {
      String file = pax.getOrDefault(SPARSE_NAME, name);
      throw new IOException("file \"" + file + "\" is sparse (make the archive without --sparse)");
    }
    if (TYPES.indexOf(kind) < 0) {
      throw new IOException("entry \"" + name + "\" is of the unknown type '" + kind + "'");
    }
    // Old archives say with a slash what is a directory.
    kind = kind == FILE && name.endsWith("/") ? DIRECTORY : kind;
    String paxSize = pax.get("size");
    long bytes = paxSize != null ? decimal(paxSize) : number(header, SIZE);
    bytes = kind == FILE ? bytes : 0;
    if (bytes < 0 || bytes > Long.MAX_VALUE - BLOCK) {
      throw new IOException("entry \"" + name + "\" has an impossible size");
    }
    content = bytes;
    unread = (bytes + BLOCK - 1) / BLOCK * BLOCK;
    int mode = (int) octal(header, MODE, MODE_BYTES, "a malformed mode in a header") & PERMISSIONS;
    String paxTime = pax.get("mtime");
    long seconds = paxTime != null ? wholeSeconds(paxTime) : number(header, MTIME);
    return new Entry(
        normalized(name),
        kind,
        mode,
        Math.max(0, Math.min(seconds, MAX_SECONDS)),
        link,
        bytes,
        kind == FILE || kind == DIRECTORY ? attributes(pax) : Collections.emptySortedMap());
  }

  private static String headerName(byte[] header) {
    String name = text(header, 0, NAME_BYTES);
    // GNU's older format has other things where POSIX has the prefix.
    boolean isPosix = text(header, MAGIC, 6).equals("ustar") && header[MAGIC + 5] == 0;
    String prefix = isPosix ? text(header, PREFIX, PREFIX_BYTES) : "";
    return prefix.isEmpty() ? name : prefix + "/" + name;
  }

  private static String plain(String name) throws IOException {
    if (name.length() > MAX_PATH_BYTES) {
      throw new IOException("a name or link is longer than " + MAX_PATH_BYTES + " bytes");
    }
    if (name.indexOf('\0') >= 0) {
      throw new IOException("a name or link has a zero byte in it");
    }
    return name;
  }

  /** From the root of the image: what {@code tar -P} has written is the same without its slash. */
  private static String normalized(String name) throws IOException {
    List<String> parts = new ArrayList<>();
    for (String part : name.split("/", -1)) {
      if (part.equals("..")) {
        throw new IOException("entry \"" + name + "\" has \"..\" in its name");
      }
      if (part.length() > MAX_NAME_BYTES) {
        throw new IOException("a file's name is longer than " + MAX_NAME_BYTES + " bytes");
      }
      if (!part.isEmpty() && !part.equals(".")) {
        parts.add(part);
      }
    }
    return String.join("/", parts);
  }

  private static SortedMap<String, String> attributes(Map<String, String> pax) throws IOException {
    SortedMap<String, String> attributes = new TreeMap<>();
    int names = 0;
    for (Map.Entry<String, String> record : pax.entrySet()) {
      if (!record.getKey().startsWith(ATTRIBUTE)) {
        continue;
      }
      // As GNU tar's xattr_encode_keyword() has it; others write such characters as they are.
      String encoded = record.getKey().substring(ATTRIBUTE.length());
      String name = encoded.replace("%3D", "=").replace("%25", "%");
      if (name.length() > MAX_NAME_BYTES || record.getValue().length() > MAX_ATTRIBUTE_BYTES) {
        throw new IOException("an extended attribute is longer than any file system's");
      }
      names += name.length() + 1;
      if (names > MAX_ATTRIBUTE_NAMES_BYTES) {
        throw new IOException("a file has more extended attributes than any file system holds");
      }
      if (!name.equals("user.")) {
        attributes.put(name, record.getValue());
      }
    }
    return attributes.isEmpty() ? Collections.emptySortedMap() : attributes;
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

  /** Of what is said for all entries that follow, only a time makes sense. */
  private void readGlobal(byte[] bytes, Map<String, String> pax) throws IOException {
    Map<String, String> records = new HashMap<>();
    readPax(bytes, records);
    String time = records.get("mtime");
    if (time != null) {
      global.put("mtime", time);
      pax.putIfAbsent("mtime", time);
    }
  }

  /**
   * Records {@code LENGTH NAME=VALUE\n}, the length being that of the whole record, and an empty
   * value taking back an earlier one; pax(1). Those that nobody here needs are left out.
   */
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
      String key = text.substring(space + 1, equals);
      String value = text.substring(equals + 1, end - 1);
      switch (key) {
        case "path", "linkpath", "size", "mtime" -> {
          if (value.isEmpty()) {
            records.remove(key);
          } else {
            records.put(key, value);
          }
        }
        default -> {
          if (key.startsWith(SPARSE)) {
            records.put(key.equals(SPARSE_NAME) ? SPARSE_NAME : SPARSE, value);
          } else if (key.startsWith(USER_ATTRIBUTE) && key.indexOf('\0') < 0) {
            records.put(key, value);
          }
        }
      }
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

  /** Of a time such as {@code 1700000000.25}. */
  private static long wholeSeconds(String text) throws IOException {
    int point = text.indexOf('.');
    return decimal(point < 0 ? text : text.substring(0, point));
  }

  /** Octal digits, or with the top bit set a big-endian number (GNU); below 0 it is -1. tar(5). */
  private static long number(byte[] header, int offset) throws IOException {
    if ((header[offset] & 0x80) == 0) {
      return octal(header, offset, NUMBER_BYTES, "a malformed number in a header");
    }
    if ((header[offset] & 0x40) != 0) {
      return -1;
    }
    long value = header[offset] & 0x3f;
    for (int i = 1; i < NUMBER_BYTES; i++) {
      if (value >> 54 != 0) {
        throw new IOException("a number too large in a header");
      }
      value = (value << 8) | (header[offset + i] & 0xff);
    }
    return value;
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
    if (header.length < BLOCK
        || octal(header, CHECKSUM, CHECKSUM_BYTES, complaint) != checksum(header)) {
      throw new IOException(complaint);
    }
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
    } catch (EOFException e) {
      throw truncated();
    }
  }

  private static boolean isZero(byte[] bytes, int length) {
    for (int i = 0; i < length; i++) {
      if (bytes[i] != 0) {
        return false;
      }
    }
    return true;
  }

  private static IOException truncated() {
    return new IOException("it ends too early, without a tar file's end mark: truncated");
  }
}
