package org.layercake.pack;

import java.io.BufferedInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongConsumer;
import org.layercake.store.StoreException;

/**
 * Turns compressed streams into plain ones, beside whatever else this program does: gzip, the most
 * common, in a thread, since that takes half of what gzip(1) does; xz, zstd, bzip2 and lz4 by their
 * programs, which notice what is cut off or follows.
 */
final class Decompressor {
  private static final int BUFFER_BYTES = 1 << 16;
  private static final int MAGIC_BYTES = 6;
  // More than any of their own presets needs; an archive could ask for 4 GB.
  private static final long XZ_MEMORY = 1 << 30;
  // All that --long can ask for; without it, zstd refuses more than 128 MB.
  private static final long ZSTD_MEMORY = 2L << 30;

  private final Scratch scratch;
  private final LongConsumer read;

  /**
   * @param read told of so many more bytes that have been read, as they lie in the source
   */
  Decompressor(Scratch scratch, LongConsumer read) {
    this.scratch = scratch;
    this.read = read;
  }

  /**
   * The plain stream, which can be marked; it is the given one itself, buffered, when that is not
   * compressed.
   */
  BufferedInputStream open(InputStream stream) throws IOException {
    BufferedInputStream compressed =
        new BufferedInputStream(ImageStream.counted(stream, read), BUFFER_BYTES);
    compressed.mark(MAGIC_BYTES);
    byte[] magic = compressed.readNBytes(MAGIC_BYTES);
    compressed.reset();
    if (startsWith(magic, 0x1f, 0x8b)) {
      return new BufferedInputStream(new Ahead(new Gunzip(compressed), "gunzip"), BUFFER_BYTES);
    }
    List<String> command = command(magic);
    return command.isEmpty()
        ? compressed
        : new BufferedInputStream(throughProgram(command, compressed), BUFFER_BYTES);
  }

  private List<String> command(byte[] start) {
    if (startsWith(start, 0xfd, '7', 'z', 'X', 'Z', 0)) {
      return List.of("xz", "-dc", "--memlimit-decompress=" + memory(XZ_MEMORY));
    } else if (startsWith(start, 0x28, 0xb5, 0x2f, 0xfd)) {
      return List.of("zstd", "-dc", "--memory=" + (memory(ZSTD_MEMORY) >> 20) + "MB");
    } else if (startsWith(start, 'B', 'Z', 'h') && start.length > 3 && start[3] >= '1') {
      return List.of("bzip2", "-dc");
    } else if (startsWith(start, 0x04, 0x22, 0x4d, 0x18)) {
      return List.of("lz4", "-dc");
    }
    return List.of();
  }

  private long memory(long most) {
    return Math.min(most, scratch.limits().memory().orElse(most));
  }

  private static boolean startsWith(byte[] bytes, int... magic) {
    return bytes.length >= magic.length
        && Arrays.equals(
            Arrays.stream(magic).toArray(), 0, magic.length, unsigned(bytes), 0, magic.length);
  }

  private static int[] unsigned(byte[] bytes) {
    int[] values = new int[bytes.length];
    Arrays.setAll(values, i -> bytes[i] & 0xff);
    return values;
  }

  /** Feeds a program in a thread of its own, whose failure is the reader's. */
  private InputStream throughProgram(List<String> command, InputStream compressed)
      throws IOException {
    Program program;
    try {
      String name = command.get(0);
      program = Program.start(scratch, name, command, Map.of(), "install " + name);
    } catch (StoreException e) {
      throw new IOException(e.getMessage(), e);
    }
    AtomicReference<IOException> failure = new AtomicReference<>();
    Thread feeder = new Thread(() -> feed(compressed, program, failure), "feed-" + command.get(0));
    feeder.setDaemon(true);
    feeder.start();
    return new FilterInputStream(program.process().getInputStream()) {
      @Override
      public int read(byte[] bytes, int offset, int length) throws IOException {
        int count = in.read(bytes, offset, length);
        if (count < 0) {
          requireGoodEnd(program, feeder, failure);
        }
        return count;
      }

      @Override
      public void close() throws IOException {
        program.process().destroyForcibly();
        super.close();
      }
    };
  }

  private static void feed(
      InputStream compressed, Program program, AtomicReference<IOException> failure) {
    try (OutputStream stdin = program.process().getOutputStream()) {
      byte[] buffer = new byte[BUFFER_BYTES];
      for (int count; (count = compressed.read(buffer)) >= 0; ) {
        stdin.write(buffer, 0, count);
      }
    } catch (IOException e) {
      failure.set(e);
    }
  }

  /** The program first: when it has given up, the feeder may wait for what never comes. */
  private static void requireGoodEnd(
      Program program, Thread feeder, AtomicReference<IOException> failure) throws IOException {
    try {
      Program.End end = program.await();
      if (end.isKilled()) {
        throw new IOException(end.failure("unpack the source", Optional.empty()));
      }
      // bzip2 warns of what follows, and ends well.
      if (!end.isGood() || end.complaint().contains("trailing garbage")) {
        throw new IOException(end.complaint(), failure.get());
      }
      feeder.join();
      if (failure.get() != null) {
        throw failure.get();
      }
    } catch (StoreException e) {
      throw new IOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }
}
