package org.layercake.store;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.regex.Pattern;

/**
 * The document that lists an image's chunks. The digest of its bytes is the image's digest, so
 * there is exactly one encoding of a manifest, and bytes that are not that encoding are refused.
 * {@code docs/store-format.md} describes it.
 *
 * @param chunker name and parameters of the chunker that cut the file, {@link Chunker#ID}
 * @param size of the image file in bytes: the sum of the chunks' lengths
 */
public record Manifest(String chunker, long size, ImageConfig config, List<Chunk> chunks) {
  /** A contiguous piece of the image file, stored as one object. */
  public record Chunk(Digest digest, long offset, int length) {}

  /** What {@link #MAX_CHUNKS} and a whole {@link ImageConfig} need, and some more. */
  static final int MAX_BYTES = 16 << 20;

  /** 200 GB of image at the usual chunk size, 7 MB in memory. */
  static final int MAX_CHUNKS = 200_000;

  static final int MAX_CHUNK_BYTES = 4 << 20;
  static final long MAX_IMAGE_BYTES = 1L << 40;

  /**
   * Chunks have so many bytes on average at least, {@link #MAX_SMALL_CHUNKS} aside: each costs its
   * readers an operation, so that a small image is not to have hundreds of thousands.
   */
  private static final int LEAST_AVERAGE_BYTES = 64 << 10;

  private static final int MAX_SMALL_CHUNKS = 1000;

  private static final Pattern CHUNKER = Pattern.compile("[A-Za-z0-9 ._-]{1,100}");

  /** Checks that the chunks tile the file from 0 to {@code size}. */
  public Manifest {
    if (!CHUNKER.matcher(chunker).matches()) {
      throw new IllegalArgumentException("a chunker without a name");
    }
    ChunkList list = ChunkList.copyOf(chunks);
    if (list.bytes() != size) {
      throw new IllegalArgumentException(
          "chunks of " + list.bytes() + " bytes for a file of " + size);
    }
    if (size < 1 || size > MAX_IMAGE_BYTES) {
      throw new IllegalArgumentException("a file of " + size + " bytes");
    }
    requireFew(list.size(), size);
    chunks = list;
  }

  /** Refuses more chunks than an image of that size may have. */
  static void requireFew(int chunks, long size) {
    if (chunks > MAX_CHUNKS || chunks - MAX_SMALL_CHUNKS > size / LEAST_AVERAGE_BYTES) {
      throw new IllegalArgumentException(
          "more than "
              + Math.min(MAX_CHUNKS, MAX_SMALL_CHUNKS + size / LEAST_AVERAGE_BYTES)
              + " chunks for a file of "
              + size
              + " bytes");
    }
  }

  /** The image's bytes if each different chunk is counted once: what it takes in its domain. */
  public long distinctBytes() {
    return ((ChunkList) chunks).distinctBytes();
  }

  /** Bytes that are no manifest, and why. */
  public static final class MalformedException extends Exception {
    private static final long serialVersionUID = 1;
    private final boolean damaged;

    MalformedException(String message, boolean damaged, Throwable cause) {
      super(message, cause);
      this.damaged = damaged;
    }

    /**
     * Whether these are other bytes than somebody has stored; else somebody has stored no manifest.
     */
    boolean isDamaged() {
      return damaged;
    }
  }

  /**
   * Parses hostile bytes while they come, and holds no more of them than what a manifest has room
   * for. That there is but one encoding makes them comparable by their digest.
   *
   * @param wanted the digest of the manifest
   * @throws IOException what the stream has thrown
   */
  public static Manifest read(InputStream in, Digest wanted)
      throws MalformedException, IOException {
    return ManifestText.read(in, wanted);
  }

  /** The one encoding of this manifest. */
  public byte[] bytes() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      writeTo(out);
    } catch (IOException e) {
      throw new UncheckedIOException("writing to memory", e);
    }
    return out.toByteArray();
  }

  /** Writes the one encoding of this manifest, without a copy of it in memory. */
  public void writeTo(OutputStream out) throws IOException {
    ManifestText.write(this, out);
  }
}
