package org.layercake.launcher.image;

import java.util.BitSet;
import java.util.OptionalInt;
import java.util.function.IntPredicate;

/**
 * Chunks in the order in which they were added, each once, in four bytes of memory and a bit: a
 * reader in the hands of a hostile image may ask for all. Not safe for use by several threads.
 */
final class ChunkQueue {
  private final BitSet in = new BitSet();
  private int[] chunks = new int[16];
  private int from;
  private int to;

  /** Adds one at the end, unless it is there. */
  void add(int chunk) {
    if (in.get(chunk)) {
      return;
    }
    if (to == chunks.length) {
      makeRoom();
    }
    in.set(chunk);
    chunks[to++] = chunk;
  }

  private void makeRoom() {
    int size = to - from;
    int[] all = from >= chunks.length / 2 ? chunks : new int[2 * chunks.length];
    System.arraycopy(chunks, from, all, 0, size);
    chunks = all;
    from = 0;
    to = size;
  }

  /** Adds all of the other, and empties it. */
  void takeAll(ChunkQueue other) {
    for (int i = other.from; i < other.to; i++) {
      add(other.chunks[i]);
    }
    other.clear();
  }

  void clear() {
    in.clear();
    chunks = new int[16];
    from = 0;
    to = 0;
  }

  /** Moves those of a kind to the end of the other; both keep their order. */
  void moveTo(ChunkQueue other, IntPredicate kind) {
    int kept = from;
    for (int i = from; i < to; i++) {
      if (kind.test(chunks[i])) {
        in.clear(chunks[i]);
        other.add(chunks[i]);
      } else {
        chunks[kept++] = chunks[i];
      }
    }
    to = kept;
  }

  /** Removes the first that is open and of this kind, and all before it that are not open. */
  OptionalInt take(IntPredicate open, IntPredicate kind) {
    int passed = 0; // those that stay, at the beginning
    for (int i = from; i < to; i++) {
      int chunk = chunks[i];
      boolean isOpen = open.test(chunk);
      if (isOpen && !kind.test(chunk)) {
        chunks[from + passed++] = chunk;
        continue;
      }
      in.clear(chunk);
      if (isOpen) {
        keepPassed(passed, i + 1);
        return OptionalInt.of(chunk);
      }
    }
    to = from + passed;
    return OptionalInt.empty();
  }

  private void keepPassed(int passed, int end) {
    System.arraycopy(chunks, from, chunks, end - passed, passed);
    from = end - passed;
  }
}
