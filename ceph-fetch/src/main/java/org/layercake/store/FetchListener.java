package org.layercake.store;

/** Hears of a fetch's progress, from the fetching thread or its workers, one call at a time. */
@FunctionalInterface
public interface FetchListener {
  /** So many bytes of the image are verified and written. Never decreases. */
  void fetched(long bytesDone);

  /**
   * Nothing more comes for now; the fetch will be tried again.
   *
   * @param cause what the fetch would have failed with
   */
  default void waits(String cause) {}
}
