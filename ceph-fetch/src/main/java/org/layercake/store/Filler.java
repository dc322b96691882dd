package org.layercake.store;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Says which chunks of an image to read, in which order, and takes them. A chunk is named by its
 * place in the manifest's list. Called by several threads.
 */
public interface Filler {
  /** What a filler answers when it is asked what to read next. */
  sealed interface Next {}

  /** A chunk to begin to read now; each is named once. */
  record Chunk(int place) implements Next {}

  /** No chunk to begin to read now. */
  enum Nothing implements Next {
    /**
     * Others may follow: it is asked again when a read ends, when it calls, and after 100 ms at the
     * latest.
     */
    YET,
    /** None will ever follow: it is not asked again. */
    MORE
  }

  /**
   * Hears, before anything else, how to say that {@link #next} would have another answer now.
   *
   * @param call returns at once, and may be run by any thread at any time, with any lock held
   */
  default void begin(Runnable call) {}

  /**
   * What to read next.
   *
   * @param reading how many are being read
   */
  Next next(int reading);

  /**
   * Takes a chunk that matches its digest.
   *
   * @param content from its position to its limit; not to be kept
   */
  void store(int chunk, ByteBuffer content) throws IOException;

  /**
   * Hears of a chunk that cannot be had.
   *
   * @throws StoreException to end it all
   */
  void failed(int chunk, StoreException cause) throws StoreException;
}
