package org.layercake.store;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.layercake.store.StoreException.Kind.CORRUPT;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Which chunks of an image programs read when they start, in the order of their first reading: what
 * a node fetches first. It only advises. {@code docs/store-format.md} describes the object.
 *
 * @param chunks by their place in the manifest's list, each once
 */
public record StartProfile(List<Integer> chunks) {
  public static final StartProfile NONE = new StartProfile(List.of());

  /** A start that reads more than so many chunks is not one; 16 GB at the usual chunk size. */
  private static final int MAX_CHUNKS = 1 << 14;

  /** Seven digits and a line's end. */
  static final int MAX_BYTES = 8 * MAX_CHUNKS;

  /** Leaves out what is said twice, and what is too much. */
  public StartProfile {
    chunks = chunks.stream().distinct().limit(MAX_CHUNKS).toList();
  }

  /**
   * Parses hostile bytes.
   *
   * @param imageChunks how many chunks the image has
   */
  static StartProfile parse(byte[] bytes, int imageChunks) throws StoreException {
    List<Integer> chunks = new ArrayList<>();
    int chunk = -1;
    for (byte letter : bytes) {
      if (letter >= '0' && letter <= '9') {
        chunk = 10 * Math.max(chunk, 0) + letter - '0';
      } else if (letter == '\n' && chunk >= 0 && chunks.size() < MAX_CHUNKS) {
        chunks.add(chunk);
        chunk = -1;
      } else {
        chunk = imageChunks;
      }
      if (chunk >= imageChunks) {
        break;
      }
    }
    if (chunk < 0) {
      return new StartProfile(chunks);
    }
    throw new StoreException(
        CORRUPT, "a start profile names a chunk that does not exist in an image of " + imageChunks);
  }

  byte[] bytes() {
    StringBuilder lines = new StringBuilder();
    chunks.forEach(chunk -> lines.append(chunk).append('\n'));
    return lines.toString().getBytes(US_ASCII);
  }

  /** The first so many chunks. */
  public StartProfile first(int count) {
    return new StartProfile(chunks.subList(0, Math.min(count, chunks.size())));
  }

  /** What this and then the other reads. */
  public StartProfile with(StartProfile other) {
    return new StartProfile(Stream.concat(chunks.stream(), other.chunks.stream()).toList());
  }
}
