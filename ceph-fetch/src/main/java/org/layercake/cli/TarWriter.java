package org.layercake.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Writes a tar that mksquashfs reads: each byte of a header is from here, none from the archive
 * that the file is from. Owners are left to mksquashfs. Strings have one character for each byte.
 */
final class TarWriter {
  private static final int BLOCK = TarReader.BLOCK;
  private static final int NAME_BYTES = 100;
  private static final int CHECKSUM = 148;
  private static final long MAX_OCTAL = 1L << 33; // eleven digits

  private final OutputStream out;

  TarWriter(OutputStream out) {
    this.out = new BufferedOutputStream(out, 1 << 17);
  }

  /** An entry under another name, with what follows it. */
  void write(String path, TarReader.Entry entry, TarReader content) throws IOException {
    writeHeaders(path, entry);
    content.copyContent(out);
  }

  void writeDirectory(String path, FileTree.Inode directory) throws IOException {
    writeHeaders(
        path,
        new TarReader.Entry(
            path,
            TarReader.DIRECTORY,
            directory.mode(),
            directory.seconds(),
            "",
            0,
            directory.attributes()));
  }

  /** Another name for a file that has been written. */
  void writeLink(String path, String target) throws IOException {
    writeHeaders(
        path,
        new TarReader.Entry(
            path, TarReader.HARD_LINK, 0, 0, target, 0, Collections.emptySortedMap()));
  }

  /** The end mark. */
  void end() throws IOException {
    out.write(new byte[2 * BLOCK]);
    out.flush();
  }

  /** The extended one only where it is needed; its records are those of pax(1) and of GNU tar. */
  private void writeHeaders(String path, TarReader.Entry entry) throws IOException {
    Map<String, String> records = new LinkedHashMap<>();
    if (path.length() > NAME_BYTES) {
      records.put("path", path);
    }
    if (entry.link().length() > NAME_BYTES) {
      records.put("linkpath", entry.link());
    }
    if (entry.bytes() >= MAX_OCTAL) {
      records.put("size", Long.toString(entry.bytes()));
    }
    entry.attributes().forEach((name, value) -> records.put("SCHILY.xattr." + name, value));
    if (!records.isEmpty()) {
      byte[] extended = pax(records);
      out.write(header("layercake", 'x', 0644, 0, "", extended.length));
      out.write(extended);
      out.write(new byte[(BLOCK - extended.length % BLOCK) % BLOCK]);
    }
    out.write(
        header(path, entry.type(), entry.mode(), entry.seconds(), entry.link(), entry.bytes()));
  }

  /** What does not fit has to be said in an extended header. */
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
    putOctal(header, CHECKSUM, 6, TarReader.checksum(header));
    header[CHECKSUM + 7] = ' ';
    return header;
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

  /** A record's length is that of the whole record, its own digits included. */
  private static byte[] pax(Map<String, String> records) {
    StringBuilder text = new StringBuilder();
    records.forEach(
        (key, value) -> {
          String rest = " " + key + "=" + value + "\n";
          int length = rest.length() + 1;
          while (rest.length() + Integer.toString(length).length() != length) {
            length++;
          }
          text.append(length).append(rest);
        });
    return text.toString().getBytes(ISO_8859_1);
  }
}
