package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What extended headers say of the file that follows: of pax (POSIX.1-2001, pax(1)), and GNU's long
 * names (tar(5)). It counts before what the file's own header says.
 */
final class PaxRecords {
  private static final int MAX_ATTRIBUTE_NAMES_BYTES = 1 << 16; // XATTR_LIST_MAX
  private static final int MAX_SPARSE_KEY_BYTES = 32; // longer ones are nobody's
  private static final String PATH = "path";
  private static final String LINK = "linkpath";
  private static final String SIZE = "size";
  private static final String TIME = "mtime";
  // GNU tar, bsdtar and Go's library, so docker, write an attribute's name and bytes so.
  private static final String ATTRIBUTE = "SCHILY.xattr.";
  private static final String USER_ATTRIBUTE = ATTRIBUTE + "user.";
  private static final String SPARSE = "GNU.sparse.";
  private static final String SPARSE_NAME = SPARSE + "name";
  private static final String SPARSE_MAJOR = SPARSE + "major";
  private static final String SPARSE_MINOR = SPARSE + "minor";
  private static final String SPARSE_BYTES = SPARSE + "realsize";
  private static final String SPARSE_BYTES_OF_0 = SPARSE + "size";
  private static final String SPARSE_MAP = SPARSE + "map";
  private static final String SPARSE_PLACE = SPARSE + "offset";
  private static final String SPARSE_LENGTH = SPARSE + "numbytes";

  private final Map<String, String> records = new HashMap<>();
  private final List<String> sparseNumbers = new ArrayList<>(); // of 0.0, in their order

  /**
   * Reads records {@code LENGTH NAME=VALUE\n}, the length being that of the whole record, and an
   * empty value taking back an earlier one; pax(1). Those that nobody here needs are left out.
   */
  void read(byte[] bytes) throws IOException {
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
      add(text.substring(space + 1, equals), text.substring(equals + 1, end - 1));
      at = end;
    }
  }

  private void add(String key, String value) {
    switch (key) {
      case PATH, LINK, SIZE, TIME -> {
        if (value.isEmpty()) {
          records.remove(key);
        } else {
          records.put(key, value);
        }
      }
      default -> {
        if (key.equals(SPARSE_PLACE) || key.equals(SPARSE_LENGTH)) {
          sparseNumbers.add(value);
        } else if (key.startsWith(SPARSE) && key.length() <= MAX_SPARSE_KEY_BYTES) {
          records.put(key, value);
        } else if (key.startsWith(USER_ATTRIBUTE) && key.indexOf('\0') < 0) {
          records.put(key, value);
        }
      }
    }
  }

  /** Takes GNU's long name, unless there is another. */
  void readName(byte[] bytes) {
    records.putIfAbsent(PATH, TarHeader.text(bytes, 0, bytes.length));
  }

  /** The same for a link's target. */
  void readLink(byte[] bytes) {
    records.putIfAbsent(LINK, TarHeader.text(bytes, 0, bytes.length));
  }

  /** Of what is said for all entries that follow, only a time makes sense. */
  void addGlobal(PaxRecords global) {
    String time = global.records.get(TIME);
    if (time != null) {
      records.putIfAbsent(TIME, time);
    }
  }

  boolean hasTime() {
    return records.containsKey(TIME);
  }

  String name(TarHeader header) {
    String path = records.getOrDefault(PATH, header.name());
    return isSparse() ? records.getOrDefault(SPARSE_NAME, path) : path;
  }

  String link(TarHeader header) {
    return records.getOrDefault(LINK, header.link());
  }

  long size(TarHeader header) throws IOException {
    String size = records.get(SIZE);
    return size != null ? decimal(size) : header.size();
  }

  long seconds(TarHeader header) throws IOException {
    String time = records.get(TIME); // such as 1700000000.25
    return time != null ? decimal(time.split("\\.", 2)[0]) : header.seconds();
  }

  boolean isSparse() {
    return records.containsKey(SPARSE_BYTES) || records.containsKey(SPARSE_BYTES_OF_0);
  }

  /**
   * The map of a sparse file, of which a part may be in front of the file's bytes.
   *
   * @throws IOException when it is of a form that GNU tar does not write
   */
  SparseMap sparseMap() throws IOException {
    String bytes = records.getOrDefault(SPARSE_BYTES, records.get(SPARSE_BYTES_OF_0));
    SparseMap map = new SparseMap(decimal(bytes));
    if (hasSparseFront()) {
      return map;
    }
    if (records.containsKey(SPARSE_MAP)) {
      map.addAll(records.get(SPARSE_MAP));
    } else {
      for (String number : sparseNumbers) {
        map.add(decimal(number));
      }
    }
    return map;
  }

  /** Whether the map is in front of the file's bytes: 1.0. */
  boolean hasSparseFront() throws IOException {
    String major = records.getOrDefault(SPARSE_MAJOR, "0");
    String minor = records.getOrDefault(SPARSE_MINOR, "0");
    if (major.equals("1") && minor.equals("0")) {
      return true;
    }
    if (!major.equals("0")) {
      throw new IOException("a sparse file of the unknown format " + major + "." + minor);
    }
    return false;
  }

  SortedMap<String, String> attributes() throws IOException {
    SortedMap<String, String> attributes = new TreeMap<>();
    int names = 0;
    for (Map.Entry<String, String> record : records.entrySet()) {
      if (!record.getKey().startsWith(ATTRIBUTE)) {
        continue;
      }
      // As GNU tar's xattr_encode_keyword() has it; others write such characters as they are.
      String encoded = record.getKey().substring(ATTRIBUTE.length());
      String name = encoded.replace("%3D", "=").replace("%25", "%");
      if (name.length() > TarEntry.MAX_NAME_BYTES
          || record.getValue().length() > TarEntry.MAX_ATTRIBUTE_BYTES) {
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

  static long decimal(String text) throws IOException {
    try {
      return Long.parseLong(text);
    } catch (NumberFormatException e) {
      throw new IOException("a malformed number in an extended header", e);
    }
  }
}
