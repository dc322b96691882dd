package org.layercake.store;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.OptionalInt;

/**
 * Says which chunks of an image to read, in which order, and takes them. A chunk is named by its
 * place in the manifest's list. Called by several threads.
 */
public interface Filler {
  /**
   * The chunk to begin to read now; each is named once.
   *
   * @param reading how many are being read
   * @return empty if there is none to read, or none yet: asked again soon while others are being
   *     read; at the end otherwise
   */
  OptionalInt next(int reading);

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
