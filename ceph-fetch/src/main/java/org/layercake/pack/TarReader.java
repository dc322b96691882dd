package org.layercake.pack;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * The entries of a tar stream: ustar, pax (POSIX.1-2001, pax(1)) and GNU long names (tar(5)).
 * Libraries decode names, which are any bytes; here a string has one character for each byte, ISO
 * 8859-1.
 */
final class TarReader {
  private static final int MAX_EXTENSION_BYTES = 1 << 20;
  private static final int MAX_EXTENSIONS = 16;
  private static final String TYPES = "0123456";

  /** The list of files that pixz puts behind a tar; PIXZ_INDEX_MAGIC of its pixz.h. */
  private static final byte[] PIXZ_INDEX = {
    (byte) 0xa6, 0x4c, 0x32, 0x2e, (byte) 0xd6, 0x14, (byte) 0xae, (byte) 0xdb
  };

  /** How a tar shows that it is whole. */
  enum End {
    /** By its end mark, without which it is cut off. */
    MARKED,
    /** By a digest of all of it, which is compared elsewhere: some tools write no end mark. */
    PROVED
  }

  private final InputStream in;
  private final End end;
  private final byte[] buffer = new byte[1 << 17];
  private PaxRecords global = new PaxRecords();
  private long content; // of the last entry, that has not been read
  private long unread; // the same with the padding
  private SparseMap sparse; // of the last entry, null when it is none

  TarReader(InputStream in) {
    this(in, End.MARKED);
  }

  TarReader(InputStream in, End end) {
    this.in = in;
    this.end = end;
  }

  /** Whether bytes are the beginning of a tar. */
  static boolean mayBegin(byte[] start) {
    try {
      TarHeader.of(start);
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * Moves on to the next entry.
   *
   * @return null at the end
   * @throws IOException when this is no whole tar, with the reason for people
   */
  TarEntry next() throws IOException {
    skipLast();
    PaxRecords pax = new PaxRecords();
    pax.addGlobal(global);
    for (int extensions = 0; extensions <= MAX_EXTENSIONS; extensions++) {
      byte[] block = in.readNBytes(TarHeader.BLOCK);
      if (block.length < TarHeader.BLOCK && (end == End.MARKED || extensions > 0)) {
        throw truncated();
      }
      if (isZero(block, block.length)) {
        return null;
      }
      TarHeader header = TarHeader.of(block);
      switch (header.type()) {
        case 'x' -> pax.read(extension(header));
        case 'g' -> readGlobal(extension(header), pax);
        case 'L' -> pax.readName(extension(header));
        case 'K' -> pax.readLink(extension(header));
        default -> {
          return entry(header, pax);
        }
      }
    }
    throw new IOException("more than " + MAX_EXTENSIONS + " extended headers in a row");
  }

  private void readGlobal(byte[] bytes, PaxRecords pax) throws IOException {
    PaxRecords records = new PaxRecords();
    records.read(bytes);
    pax.addGlobal(records);
    global = records.hasTime() ? records : global;
  }

  /** The last entry's bytes, which can be had once. */
  PackStream.Source content() {
    return new PackStream.Source() {
      @Override
      public boolean isSparse() {
        return sparse != null;
      }

      @Override
      public void copyTo(SparseOutput out) throws IOException {
        if (sparse == null) {
          copy(content, out);
        } else {
          copySparse(sparse, out);
        }
      }
    };
  }

  /** Whether the last entry's bytes are not all in the tar, in a row. */
  boolean isSparse() {
    return sparse != null;
  }

  private void copySparse(SparseMap map, SparseOutput out) throws IOException {
    long at = 0;
    for (int part = 0; part < map.parts(); part++) {
      if (map.place(part) > at) {
        out.hole(map.place(part) - at);
      }
      copy(map.length(part), out);
      at = map.place(part) + map.length(part);
    }
    if (map.bytes() > at) {
      out.hole(map.bytes() - at);
    }
  }

  private void copy(long bytes, OutputStream out) throws IOException {
    for (long left = bytes; left > 0; ) {
      int count = in.read(buffer, 0, (int) Math.min(buffer.length, left));
      if (count < 0) {
        throw truncated();
      }
      out.write(buffer, 0, count);
      left -= count;
      content -= count;
      unread -= count;
    }
  }

  /**
   * After the end mark's first block there is its second, and then nothing; tar(5). Else a part of
   * what someone has put together would be missing without a word, as it is where tar reads without
   * --ignore-zeros. Only pixz writes something there that is no part of it.
   */
  void requireEnd() throws IOException {
    if (!isZero(block(), TarHeader.BLOCK)) {
      throw somethingFollows();
    }
    for (int count; (count = in.readNBytes(buffer, 0, TarHeader.BLOCK)) > 0; ) {
      if (!isZero(buffer, count)) {
        if (!Arrays.equals(buffer, 0, PIXZ_INDEX.length, PIXZ_INDEX, 0, PIXZ_INDEX.length)) {
          throw somethingFollows();
        }
        in.transferTo(OutputStream.nullOutputStream());
      }
    }
  }

  private static IOException somethingFollows() {
    return new IOException(
        "something follows its end mark (put archives together by tar -A, not by cat)");
  }

  private TarEntry entry(TarHeader header, PaxRecords pax) throws IOException {
    String name = plain(pax.name(header));
    String link = plain(pax.link(header));
    char type = header.type();
    char kind = type == 0 || type == '7' || type == 'S' ? TarEntry.FILE : type;
    if (TYPES.indexOf(kind) < 0) {
      throw new IOException("entry \"" + name + "\" is of the unknown type '" + kind + "'");
    }
    // Old archives say with a slash what is a directory.
    kind = kind == TarEntry.FILE && name.endsWith("/") ? TarEntry.DIRECTORY : kind;
    boolean isFile = kind == TarEntry.FILE;
    long size = pax.size(header);
    long bytes = isFile ? size : 0;
    if (bytes < 0 || bytes > Long.MAX_VALUE - TarHeader.BLOCK) {
      throw new IOException("entry \"" + name + "\" has an impossible size");
    }
    content = bytes;
    unread = (bytes + TarHeader.BLOCK - 1) / TarHeader.BLOCK * TarHeader.BLOCK;
    sparse = isFile ? sparseMap(header, pax, name) : null;
    int mode = header.mode();
    long seconds = Math.max(0, Math.min(pax.seconds(header), TarEntry.MAX_SECONDS));
    return new TarEntry(
        normalized(name),
        kind,
        mode,
        seconds,
        link,
        sparse == null ? bytes : sparse.bytes(),
        isFile || kind == TarEntry.DIRECTORY ? pax.attributes() : Collections.emptySortedMap());
  }

  /** The map of a sparse file, read where it is; null of any other. */
  private SparseMap sparseMap(TarHeader header, PaxRecords pax, String name) throws IOException {
    SparseMap map = null;
    if (pax.isSparse()) {
      map = pax.sparseMap();
      if (pax.hasSparseFront()) {
        long front = map.readFront(in, content);
        content -= front;
        unread -= front;
      }
    } else if (header.type() == 'S') {
      map = SparseMap.old(header, in);
    }
    if (map != null) {
      map.require(name, content);
    }
    return map;
  }

  private static String plain(String name) throws IOException {
    if (name.length() > TarEntry.MAX_PATH_BYTES) {
      throw new IOException("a name or link is longer than " + TarEntry.MAX_PATH_BYTES + " bytes");
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
      if (part.length() > TarEntry.MAX_NAME_BYTES) {
        throw new IOException("a file's name is longer than " + TarEntry.MAX_NAME_BYTES + " bytes");
      }
      if (!part.isEmpty() && !part.equals(".")) {
        parts.add(part);
      }
    }
    return String.join("/", parts);
  }

  /** What an extension header, of type x, g, L or K, is about. */
  private byte[] extension(TarHeader header) throws IOException {
    long size = header.size();
    if (size < 0 || size > MAX_EXTENSION_BYTES) {
      throw new IOException("an extended header of " + size + " bytes");
    }
    byte[] bytes = in.readNBytes((int) size);
    if (bytes.length < size) {
      throw truncated();
    }
    skip((TarHeader.BLOCK - size % TarHeader.BLOCK) % TarHeader.BLOCK);
    return bytes;
  }

  private byte[] block() throws IOException {
    byte[] block = in.readNBytes(TarHeader.BLOCK);
    if (block.length < TarHeader.BLOCK) {
      throw truncated();
    }
    return block;
  }

  /** What of the last entry has not been read. Behind its content may be the end. */
  private void skipLast() throws IOException {
    skip(content);
    long padding = unread - content;
    if (end == End.MARKED) {
      skip(padding);
    } else {
      in.readNBytes((int) padding);
    }
    content = 0;
    unread = 0;
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

  static IOException truncated() {
    return new IOException("it ends too early, without a tar file's end mark: truncated");
  }
}
