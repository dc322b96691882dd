package org.layercake.pack;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * Where the bytes of a sparse file belong that a tar holds of it; the rest are zeros. GNU tar has
 * written such maps in four ways: old GNU, 0.0, 0.1 and 1.0; "Storing Sparse Files" of its manual.
 */
final class SparseMap {
  /** Of old GNU headers, that bears four parts; tar(5). */
  private static final int OLD_PARTS = 386;

  private static final int OLD_PARTS_IN_HEADER = 4;
  private static final int OLD_CONTINUES = 482;
  private static final int OLD_BYTES = 483;
  private static final int OLD_PARTS_IN_BLOCK = 21;
  private static final int OLD_BLOCK_CONTINUES = 504;

  private static final int MAX_PARTS = 1 << 20;
  private static final int MAX_DIGITS = 18;

  private final long bytes;
  private long[] numbers = new long[16]; // the place of a part, then its length
  private int count;

  /**
   * @param bytes of the file, holes included
   */
  SparseMap(long bytes) {
    this.bytes = bytes;
  }

  /** Reads what an old GNU header and the blocks behind it say. */
  static SparseMap old(TarHeader header, InputStream in) throws IOException {
    SparseMap map = new SparseMap(header.number(OLD_BYTES));
    TarHeader block = header;
    boolean continues = map.addOld(block, OLD_PARTS, OLD_PARTS_IN_HEADER, OLD_CONTINUES);
    while (continues) {
      byte[] next = in.readNBytes(TarHeader.BLOCK);
      if (next.length < TarHeader.BLOCK) {
        throw TarReader.truncated();
      }
      block = TarHeader.extension(next);
      continues = map.addOld(block, 0, OLD_PARTS_IN_BLOCK, OLD_BLOCK_CONTINUES);
    }
    return map;
  }

  private boolean addOld(TarHeader block, int offset, int parts, int continues) throws IOException {
    for (int i = 0; i < parts; i++) {
      int at = offset + 2 * i * TarHeader.NUMBER_BYTES;
      if (block.isZero(at + TarHeader.NUMBER_BYTES)) {
        break;
      }
      add(block.number(at));
      add(block.number(at + TarHeader.NUMBER_BYTES));
    }
    return !block.isZero(continues);
  }

  /**
   * Reads the map in front of a file's bytes, as 1.0 has it: decimal numbers, a line each, padded
   * to whole blocks.
   *
   * @param room how many bytes there are of map and file
   * @return as many of them as the map took
   */
  long readFront(InputStream in, long room) throws IOException {
    Lines lines = new Lines(in, room);
    long parts = lines.number();
    if (parts > MAX_PARTS) {
      throw tooMany();
    }
    for (long i = 0; i < 2 * parts; i++) {
      add(lines.number());
    }
    return lines.read;
  }

  /** Adds the place of a part, or the length of the one whose place was added last. */
  void add(long number) throws IOException {
    if (count == 2 * MAX_PARTS) {
      throw tooMany();
    }
    if (count == numbers.length) {
      numbers = Arrays.copyOf(numbers, 2 * count);
    }
    numbers[count++] = number;
  }

  private static IOException tooMany() {
    return new IOException("a sparse file of more than " + MAX_PARTS + " parts");
  }

  /** Of the file, holes included. */
  long bytes() {
    return bytes;
  }

  int parts() {
    return count / 2;
  }

  long place(int part) {
    return numbers[2 * part];
  }

  long length(int part) {
    return numbers[2 * part + 1];
  }

  /**
   * Refuses what is no map of a file.
   *
   * @param stored bytes of it that the tar has
   */
  void require(String name, long stored) throws IOException {
    long end = 0;
    long sum = 0;
    boolean isGood = count % 2 == 0 && bytes >= 0;
    for (int i = 0; isGood && i < parts(); i++) {
      isGood = place(i) >= end && length(i) >= 0 && length(i) <= bytes - place(i);
      end = place(i) + length(i);
      sum += length(i);
    }
    if (!isGood || sum != stored) {
      throw new IOException("the map of sparse file \"" + name + "\" is malformed: damaged");
    }
  }

  /** The numbers of a map in whole blocks. */
  private static final class Lines {
    private final InputStream in;
    private final long room;
    private byte[] block = new byte[0];
    private int at;
    private long read;

    private Lines(InputStream in, long room) {
      this.in = in;
      this.room = room;
    }

    private long number() throws IOException {
      StringBuilder digits = new StringBuilder();
      for (int c; (c = next()) != '\n'; ) {
        if (c < '0' || c > '9' || digits.length() == MAX_DIGITS) {
          throw new IOException("the map of a sparse file is malformed: damaged");
        }
        digits.append((char) c);
      }
      return digits.isEmpty() ? 0 : Long.parseLong(digits.toString());
    }

    private int next() throws IOException {
      if (at == block.length) {
        block = room - read < TarHeader.BLOCK ? new byte[0] : in.readNBytes(TarHeader.BLOCK);
        if (block.length < TarHeader.BLOCK) {
          throw TarReader.truncated();
        }
        read += block.length;
        at = 0;
      }
      return block[at++] & 0xff;
    }
  }

  /** The numbers of a pax record, with commas between them, as 0.1 has it. */
  void addAll(String text) throws IOException {
    for (String number : text.split(",", -1)) {
      add(PaxRecords.decimal(number));
    }
  }
}
