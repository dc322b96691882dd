package org.layercake.store;

import static org.layercake.store.StoreException.Kind.INTERNAL;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;

/** Removes objects that nothing needs and nobody has touched of late, many at once. */
final class Sweeper implements AutoCloseable {
  /** Each waits for the store most of the time. */
  private static final int WORKERS = 16;

  private final ObjectStore store;
  private final boolean dryRun;
  private final ExecutorService workers = Daemons.pool(WORKERS, "gc");

  /**
   * @param dryRun only says what would be removed
   */
  Sweeper(ObjectStore store, boolean dryRun) {
    this.store = store;
    this.dryRun = dryRun;
  }

  /**
   * Removes an object.
   *
   * @param before unless it was touched at this time or later
   */
  Swept sweep(String domain, String object, Instant before) throws StoreException {
    Optional<ObjectStore.Trace> trace = store.trace(domain, object);
    if (trace.isEmpty()) {
      return Swept.KEPT;
    }
    long bytes = trace.get().bytes();
    if (!trace.get().seen().isBefore(before)) {
      return new Swept(false, 0, bytes);
    }
    boolean gone = dryRun || store.remove(domain, object, trace.get().seen());
    return gone ? new Swept(true, bytes, 0) : Swept.KEPT;
  }

  /** Does all tasks, and tells the tally of each how it went. */
  void all(List<Callable<Swept>> tasks, Tally tally) throws StoreException {
    for (Future<Swept> result : done(tasks)) {
      try {
        tally.add(get(result));
      } catch (StoreException e) {
        tally.note(e);
      }
    }
  }

  /** Does all tasks; one that fails is the failure of all. */
  List<Swept> all(List<Callable<Swept>> tasks) throws StoreException {
    List<Swept> results = new ArrayList<>();
    for (Future<Swept> result : done(tasks)) {
      results.add(get(result));
    }
    return results;
  }

  private List<Future<Swept>> done(List<Callable<Swept>> tasks) throws StoreException {
    try {
      return workers.invokeAll(tasks);
    } catch (InterruptedException e) {
      throw interrupted(e);
    }
  }

  private static Swept get(Future<Swept> result) throws StoreException {
    try {
      return result.get();
    } catch (InterruptedException e) {
      throw interrupted(e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof StoreException failure) {
        throw failure;
      }
      throw new StoreException(INTERNAL, "cannot collect: " + e.getCause(), e);
    }
  }

  private static StoreException interrupted(InterruptedException e) {
    Thread.currentThread().interrupt();
    return new StoreException(INTERNAL, "cannot collect: interrupted", e);
  }

  @Override
  public void close() {
    workers.shutdownNow();
  }
}
