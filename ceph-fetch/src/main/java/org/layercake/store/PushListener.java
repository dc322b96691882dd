package org.layercake.store;

/** Hears of a push's progress, one call at a time. */
@FunctionalInterface
public interface PushListener {
  /** So many bytes of the image are in the store, of which {@code bytesNew} were not before. */
  void pushed(long bytesDone, long bytesNew);
}
