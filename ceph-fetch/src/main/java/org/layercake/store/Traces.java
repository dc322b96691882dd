package org.layercake.store;

import static org.layercake.store.StoreException.Kind.INTERNAL;

import java.time.Instant;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;

/** When images were last wanted, of many at once. */
final class Traces {
  /** Each waits for the store most of the time. */
  private static final int WORKERS = 16;

  private Traces() {}

  /** Of those that are there. Two tags of one image are asked for once. */
  static Map<Tagged, Instant> of(ObjectStore store, List<Tagged> images) throws StoreException {
    ExecutorService workers = Daemons.pool(WORKERS, "trace");
    try {
      Map<String, Future<Optional<ObjectStore.Trace>>> asked = new LinkedHashMap<>();
      for (Tagged image : images) {
        String object = ObjectNames.manifest(image.digest());
        asked.computeIfAbsent(
            key(image), key -> workers.submit(() -> store.trace(image.domain(), object)));
      }
      Map<Tagged, Instant> seen = new HashMap<>();
      for (Tagged image : images) {
        get(asked.get(key(image))).ifPresent(trace -> seen.put(image, trace.seen()));
      }
      return seen;
    } finally {
      workers.shutdownNow();
    }
  }

  private static String key(Tagged image) {
    return image.domain() + "/" + image.digest();
  }

  private static Optional<ObjectStore.Trace> get(Future<Optional<ObjectStore.Trace>> trace)
      throws StoreException {
    try {
      return trace.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreException(INTERNAL, "cannot list images: interrupted", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof StoreException failure) {
        throw failure;
      }
      throw new StoreException(INTERNAL, "cannot list images: " + e.getCause(), e);
    }
  }
}
