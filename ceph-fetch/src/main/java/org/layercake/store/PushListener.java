package org.layercake.store;

import java.io.IOException;

/** Hears of a push's progress, one call at a time. */
@FunctionalInterface
public interface PushListener {
  /** So many bytes of the image are in the store, of which {@code bytesNew} were not before. */
  void pushed(long bytesDone, long bytesNew);

  /**
   * The whole image is in the store, and nobody can see it yet. What is thrown here ends the push,
   * and nobody ever will.
   */
  default void beforeVisible() throws StoreException, IOException {}
}
