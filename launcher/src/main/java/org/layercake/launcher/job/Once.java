package org.layercake.launcher.job;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** Something that is found out once. A failure is forgotten, so that the next one asks again. */
final class Once<T> {
  private FutureTask<T> asked; // guarded by this; null before and after a failure

  /**
   * What was found. One thread finds it; the others wait for that thread.
   *
   * @param find not called if somebody has found it, or is about to
   * @throws ExecutionException with what {@code find} has thrown
   */
  T get(Callable<T> find) throws ExecutionException, InterruptedException {
    FutureTask<T> mine;
    synchronized (this) {
      if (asked == null) {
        asked = new FutureTask<>(find);
      }
      mine = asked;
    }
    mine.run(); // does nothing where another thread has
    try {
      return mine.get();
    } catch (ExecutionException e) {
      synchronized (this) {
        asked = asked == mine ? null : asked;
      }
      throw e;
    }
  }
}
