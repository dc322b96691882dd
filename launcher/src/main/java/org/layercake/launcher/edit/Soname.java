package org.layercake.launcher.edit;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;

/**
 * The name by which a shared library wants to be found (DT_SONAME), as elf(5) has it. Only 64-bit
 * libraries have one for us: nodes have no other processors.
 */
final class Soname {
  private static final int HEADER_BYTES = 64;
  private static final int PROGRAM_HEADER_BYTES = 56;
  private static final int MAX_PROGRAM_HEADERS = 256;
  private static final int MAX_DYNAMIC_BYTES = 1 << 16;
  private static final int MAX_NAME_BYTES = 256;
  private static final int LOAD = 1;
  private static final int DYNAMIC = 2;
  private static final long STRING_TABLE = 5;
  private static final long SONAME = 14;

  private final FileChannel file;
  private final ByteOrder order;
  private ByteBuffer programHeaders;

  private Soname(FileChannel file, ByteOrder order) {
    this.file = file;
    this.order = order;
  }

  /** That of the file for one that has no other; empty for what is no such library. */
  static Optional<String> of(Path library) throws IOException {
    try (FileChannel file = FileChannel.open(library, StandardOpenOption.READ)) {
      ByteBuffer start = ByteBuffer.allocate(HEADER_BYTES);
      while (start.hasRemaining() && file.read(start) >= 0) {}
      byte[] header = start.array();
      boolean is64 =
          !start.hasRemaining()
              && header[0] == 0x7f
              && header[1] == 'E'
              && header[2] == 'L'
              && header[3] == 'F'
              && header[4] == 2;
      if (!is64) {
        return Optional.empty();
      }
      ByteOrder order = header[5] == 2 ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN;
      return new Soname(file, order)
          .find(ByteBuffer.wrap(header).order(order))
          .or(() -> Optional.of(library.getFileName().toString()));
    } catch (EOFException e) {
      return Optional.empty(); // it says that it is longer than it is
    }
  }

  private Optional<String> find(ByteBuffer header) throws IOException {
    int count = header.getShort(56) & 0xffff;
    if (header.getShort(54) != PROGRAM_HEADER_BYTES || count > MAX_PROGRAM_HEADERS) {
      return Optional.empty();
    }
    programHeaders = read(header.getLong(32), count * PROGRAM_HEADER_BYTES);
    for (int at = 0; at < programHeaders.limit(); at += PROGRAM_HEADER_BYTES) {
      if (programHeaders.getInt(at) == DYNAMIC) {
        long bytes = Math.min(programHeaders.getLong(at + 32), MAX_DYNAMIC_BYTES);
        return inDynamic(read(programHeaders.getLong(at + 8), (int) Math.max(0, bytes)));
      }
    }
    return Optional.empty();
  }

  private Optional<String> inDynamic(ByteBuffer dynamic) throws IOException {
    long table = -1;
    long name = -1;
    for (int at = 0; at + 16 <= dynamic.limit() && dynamic.getLong(at) != 0; at += 16) {
      if (dynamic.getLong(at) == STRING_TABLE) {
        table = dynamic.getLong(at + 8);
      } else if (dynamic.getLong(at) == SONAME) {
        name = dynamic.getLong(at + 8);
      }
    }
    long place = table < 0 || name < 0 ? -1 : placeOf(table + name);
    return place < 0 ? Optional.empty() : text(place);
  }

  /** Where in the file an address is; -1 for nowhere. */
  private long placeOf(long address) {
    for (int at = 0; at < programHeaders.limit(); at += PROGRAM_HEADER_BYTES) {
      long first = programHeaders.getLong(at + 16);
      long bytes = programHeaders.getLong(at + 32);
      if (programHeaders.getInt(at) == LOAD && address >= first && address - first < bytes) {
        return programHeaders.getLong(at + 8) + (address - first);
      }
    }
    return -1;
  }

  private Optional<String> text(long place) throws IOException {
    long left = file.size() - place;
    ByteBuffer bytes = read(place, (int) Math.max(0, Math.min(left, MAX_NAME_BYTES)));
    StringBuilder name = new StringBuilder();
    while (bytes.hasRemaining()) {
      byte next = bytes.get();
      if (next == 0) {
        return Optional.of(name.toString());
      }
      name.append(new String(new byte[] {next}, ISO_8859_1));
    }
    return Optional.empty();
  }

  private ByteBuffer read(long place, int length) throws IOException {
    if (place < 0) {
      throw new EOFException();
    }
    ByteBuffer bytes = ByteBuffer.allocate(length).order(order);
    for (long at = place; bytes.hasRemaining(); ) {
      int count = file.read(bytes, at);
      if (count < 0) {
        throw new EOFException();
      }
      at += count;
    }
    return bytes.flip();
  }
}
