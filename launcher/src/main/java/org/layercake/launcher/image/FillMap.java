package org.layercake.launcher.image;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.TRUNCATE_EXISTING;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import org.layercake.store.Manifest;

/**
 * The file that tells an image server which chunks of an image are there; docs/protocol.md, "Image
 * servers", has its form. Not safe for use by several threads.
 */
final class FillMap implements Closeable {
  /** What is known of a chunk. */
  enum State {
    ABSENT(0),
    PRESENT(1),
    GIVEN_UP(2);

    private final byte value;

    State(int value) {
      this.value = (byte) value;
    }
  }

  private static final byte[] MAGIC = {'L', 'C', 'K', 'M', 'A', 'P', 0, 1};
  private static final int HEADER_BYTES = 24;
  private static final int MAX_CHUNKS = 1 << 20;

  private final FileChannel file;
  private final long[] ends;
  private final byte[] states;

  private FillMap(FileChannel file, long[] ends, byte[] states) {
    this.file = file;
    this.ends = ends;
    this.states = states;
  }

  /** Makes the map of an image of which nothing is there. */
  static FillMap create(Path path, List<Manifest.Chunk> chunks) throws IOException {
    long[] ends = new long[chunks.size()];
    for (int i = 0; i < ends.length; i++) {
      ends[i] = chunks.get(i).offset() + chunks.get(i).length();
    }
    FileChannel file = FileChannel.open(path, CREATE, TRUNCATE_EXISTING, READ, WRITE);
    file.write(bytes(ends), 0);
    return new FillMap(file, ends, new byte[ends.length]);
  }

  private static ByteBuffer bytes(long[] ends) {
    ByteBuffer bytes =
        ByteBuffer.allocate(HEADER_BYTES + 9 * ends.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.put(MAGIC).putInt(ends.length).putInt(0).putLong(ends[ends.length - 1]);
    for (long end : ends) {
      bytes.putLong(end);
    }
    return bytes.position(0);
  }

  /** Opens the map that an earlier launcher has left. */
  static FillMap open(Path path) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
    int count = bytes.limit() < HEADER_BYTES ? 0 : bytes.getInt(MAGIC.length);
    if (count < 1 || count > MAX_CHUNKS || bytes.limit() != HEADER_BYTES + 9 * count) {
      throw new IOException(path + " is not whole");
    }
    long[] ends = new long[count];
    bytes.position(HEADER_BYTES);
    for (int i = 0; i < count; i++) {
      ends[i] = bytes.getLong();
    }
    byte[] states = new byte[count];
    bytes.get(states);
    return new FillMap(FileChannel.open(path, READ, WRITE), ends, states);
  }

  int chunks() {
    return ends.length;
  }

  /** Size of the image. */
  long bytes() {
    return ends[ends.length - 1];
  }

  /** Where a chunk begins. */
  long offset(int chunk) {
    return chunk == 0 ? 0 : ends[chunk - 1];
  }

  long length(int chunk) {
    return ends[chunk] - offset(chunk);
  }

  boolean is(int chunk, State state) {
    return states[chunk] == state.value;
  }

  /** The chunks that are not there; those that an earlier launcher gave up are tried again. */
  BitSet missing() {
    BitSet missing = new BitSet();
    for (int i = 0; i < states.length; i++) {
      missing.set(i, !is(i, State.PRESENT));
    }
    return missing;
  }

  void set(int chunk, State state) throws IOException {
    byte[] value = {state.value};
    file.write(ByteBuffer.wrap(value), HEADER_BYTES + 8L * ends.length + chunk);
    states[chunk] = state.value;
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
