package org.layercake.pack;

import java.util.SortedMap;

/**
 * One file of a tar, or one that is as if it came from a tar. A string has one character for each
 * byte, ISO 8859-1.
 *
 * @param path as it is written, but without "." components and slashes at its ends
 * @param type as in tar(5); {@link #FILE} for all that is a regular file
 * @param mode permissions with setuid, setgid and sticky bit
 * @param seconds modification time since 1970, as near as squashfs can say it
 * @param link target of a link as it is written
 * @param bytes what follows the headers, without the padding
 * @param attributes extended attributes of the namespace {@code user}, by name
 */
record TarEntry(
    String path,
    char type,
    int mode,
    long seconds,
    String link,
    long bytes,
    SortedMap<String, String> attributes) {
  static final char FILE = '0';
  static final char HARD_LINK = '1';
  static final char SYMBOLIC_LINK = '2';
  static final char CHARACTER_DEVICE = '3';
  static final char BLOCK_DEVICE = '4';
  static final char DIRECTORY = '5';
  static final char FIFO = '6';

  static final int MAX_PATH_BYTES = 4095; // PATH_MAX
  static final int MAX_NAME_BYTES = 255; // NAME_MAX, XATTR_NAME_MAX
  static final int MAX_ATTRIBUTE_BYTES = 1 << 16; // XATTR_SIZE_MAX
  static final int PERMISSIONS = 07777;
  static final long MAX_SECONDS = 0xffff_ffffL; // squashfs has 32 bits

  boolean isDirectory() {
    return type == DIRECTORY;
  }
}
