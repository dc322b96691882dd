package org.layercake.store;

import static org.layercake.store.Manifest.MAX_CHUNK_BYTES;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * Cuts a file where its content says so (FastCDC with normalised chunking), so that bytes that
 * merely moved are cut the same way again. A squashfs image of a rebuilt tree is mostly that.
 *
 * <p>Everything here is part of the store's format: another table, mask or size would share no
 * chunk with what is stored already. Change nothing without a new {@link #ID}.
 */
final class Chunker {
  static final int MIN_BYTES = 256 << 10;
  static final int AVERAGE_BYTES = 1 << 20;
  static final int MAX_BYTES = MAX_CHUNK_BYTES;
  static final String ID = "gear-1 " + MIN_BYTES + " " + AVERAGE_BYTES + " " + MAX_BYTES;

  private static final int AVERAGE_BITS = 20;

  /**
   * The rolling hash moves up one bit per byte, so its high bits have seen the last 64 bytes and
   * the masks take those. Below the average size two more bits must be zero, above it two fewer:
   * sizes gather around the average.
   */
  private static final long MASK_BELOW_AVERAGE = -1L << (64 - (AVERAGE_BITS + 2));

  private static final long MASK_ABOVE_AVERAGE = -1L << (64 - (AVERAGE_BITS - 2));

  private static final long[] GEAR = gear();

  private Chunker() {}

  /**
   * Length of the chunk that begins at {@code from}.
   *
   * @param bytes with at least {@link #MAX_BYTES} from {@code from}, or all that is left of the
   *     file
   * @param to end of the bytes
   */
  static int cut(byte[] bytes, int from, int to) {
    int end = Math.min(to, from + MAX_BYTES);
    int average = Math.min(end, from + AVERAGE_BYTES);
    int i = from + MIN_BYTES;
    long hash = 0;
    for (; i < average; i++) {
      hash = (hash << 1) + GEAR[bytes[i] & 0xff];
      if ((hash & MASK_BELOW_AVERAGE) == 0) {
        return i + 1 - from;
      }
    }
    for (; i < end; i++) {
      hash = (hash << 1) + GEAR[bytes[i] & 0xff];
      if ((hash & MASK_ABOVE_AVERAGE) == 0) {
        return i + 1 - from;
      }
    }
    return end - from;
  }

  /** For each byte value, the first 8 bytes (big endian) of SHA-256("layercake gear-1 VALUE"). */
  private static long[] gear() {
    long[] table = new long[256];
    for (int value = 0; value < table.length; value++) {
      byte[] seed = ("layercake gear-1 " + value).getBytes(StandardCharsets.US_ASCII);
      table[value] = ByteBuffer.wrap(Digest.of(seed).bytes()).getLong();
    }
    return table;
  }
}
