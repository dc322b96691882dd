package org.layercake.store;

import java.nio.ByteBuffer;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.RandomAccess;
import java.util.concurrent.ThreadLocalRandom;
import org.layercake.store.Manifest.Chunk;

/**
 * A manifest's chunks, 36 bytes each: a launcher holds those of many large images in a small heap.
 * A chunk becomes an object when somebody asks for it.
 */
final class ChunkList extends AbstractList<Chunk> implements RandomAccess {
  private static final int DIGEST_BYTES = 32;

  /** Chunks are kept in blocks of so many, so that a list that grows is not copied. */
  private static final int BLOCK = 1024;

  /** Of so many chunks one has its offset kept. */
  private static final int STRIDE = 64;

  private final List<byte[]> digests = new ArrayList<>();
  private final List<int[]> lengths = new ArrayList<>();
  private final List<long[]> offsets = new ArrayList<>();
  private int size;
  private long bytes;

  private ChunkList() {}

  /**
   * Of chunks that tile a file from its beginning, each 1 to {@link Manifest#MAX_CHUNK_BYTES} long.
   *
   * @throws IllegalArgumentException that says what is wrong
   */
  static ChunkList copyOf(List<Chunk> chunks) {
    if (chunks instanceof ChunkList known) {
      return known;
    }
    Builder builder = new Builder();
    for (Chunk chunk : chunks) {
      if (chunk.offset() != builder.list.bytes) {
        throw new IllegalArgumentException("a gap at offset " + builder.list.bytes);
      }
      builder.add(chunk.digest(), chunk.length());
    }
    return builder.build();
  }

  /** Makes a list, one chunk behind the other. */
  static final class Builder {
    private ChunkList list = new ChunkList();

    void add(Digest digest, long length) {
      if (length < 1 || length > Manifest.MAX_CHUNK_BYTES) {
        throw new IllegalArgumentException("a chunk of " + length + " bytes");
      }
      list.append(digest, (int) length);
    }

    int size() {
      return list.size;
    }

    /** To be called once, as the last. */
    ChunkList build() {
      ChunkList built = list;
      list = null;
      built.trim();
      return built;
    }
  }

  private void append(Digest digest, int length) {
    int block = size / BLOCK;
    int at = size % BLOCK;
    if (at == 0) {
      digests.add(new byte[BLOCK * DIGEST_BYTES]);
      lengths.add(new int[BLOCK]);
      offsets.add(new long[BLOCK / STRIDE]);
    }
    digest.copyTo(digests.get(block), at * DIGEST_BYTES);
    lengths.get(block)[at] = length;
    if (at % STRIDE == 0) {
      offsets.get(block)[at / STRIDE] = bytes;
    }
    size++;
    bytes += length;
  }

  private void trim() {
    int last = digests.size() - 1;
    int rest = size % BLOCK;
    if (rest > 0) {
      digests.set(last, Arrays.copyOf(digests.get(last), rest * DIGEST_BYTES));
      lengths.set(last, Arrays.copyOf(lengths.get(last), rest));
      offsets.set(last, Arrays.copyOf(offsets.get(last), (rest - 1) / STRIDE + 1));
    }
  }

  /** Of the file that the chunks make. */
  long bytes() {
    return bytes;
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public Chunk get(int index) {
    if (index < 0 || index >= size) {
      throw new IndexOutOfBoundsException(index);
    }
    int[] block = lengths.get(index / BLOCK);
    int at = index % BLOCK;
    long offset = offsets.get(index / BLOCK)[at / STRIDE];
    for (int i = at - at % STRIDE; i < at; i++) {
      offset += block[i];
    }
    return new Chunk(digest(index), offset, block[at]);
  }

  private Digest digest(int index) {
    return Digest.at(digests.get(index / BLOCK), index % BLOCK * DIGEST_BYTES);
  }

  /**
   * The bytes of the different chunks: what the file takes in a store that has each chunk once.
   * Four bytes of memory for each chunk, and four more at most.
   */
  long distinctBytes() {
    int[] table = new int[Math.max(2, Integer.highestOneBit(size) * 4)];
    // Users choose digests: without a seed they could choose such that fall into one place.
    long seed = ThreadLocalRandom.current().nextLong() | 1;
    long distinct = 0;
    for (int i = 0; i < size; i++) {
      int place = place(i, seed) & (table.length - 1);
      while (table[place] != 0 && !same(table[place] - 1, i)) {
        place = (place + 1) & (table.length - 1);
      }
      if (table[place] == 0) {
        table[place] = i + 1;
        distinct += lengths.get(i / BLOCK)[i % BLOCK];
      }
    }
    return distinct;
  }

  private int place(int index, long seed) {
    ByteBuffer digest =
        ByteBuffer.wrap(digests.get(index / BLOCK), index % BLOCK * DIGEST_BYTES, DIGEST_BYTES);
    long hash = seed;
    while (digest.hasRemaining()) {
      hash = (hash ^ digest.getLong()) * seed;
      hash ^= hash >>> 32;
    }
    return (int) (hash ^ hash >>> 17);
  }

  private boolean same(int one, int other) {
    int oneAt = one % BLOCK * DIGEST_BYTES;
    int otherAt = other % BLOCK * DIGEST_BYTES;
    return Arrays.equals(
        digests.get(one / BLOCK),
        oneAt,
        oneAt + DIGEST_BYTES,
        digests.get(other / BLOCK),
        otherAt,
        otherAt + DIGEST_BYTES);
  }
}
