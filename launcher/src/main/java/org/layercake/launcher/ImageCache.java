package org.layercake.launcher;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.layercake.store.Digest;
import org.layercake.store.FetchListener;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The node's images: fetched once, verified, kept under a byte budget, least recently leased first
 * to go. A leased image stays.
 */
final class ImageCache {
  private static final Logger log = LoggerFactory.getLogger(ImageCache.class);

  /** Writes an image's verified bytes into an empty file. */
  interface Fetcher {
    void fetch(FileChannel target, FetchListener listener)
        throws StoreException, IOException, Abort;
  }

  /** A fetch under way, and all who wait for it. */
  private static final class Flight implements FetchListener {
    private final CompletableFuture<Void> landed = new CompletableFuture<>();
    private final List<FetchListener> waiting = new CopyOnWriteArrayList<>();

    @Override
    public void fetched(long bytesDone) {
      waiting.forEach(listener -> listener.fetched(bytesDone));
    }
  }

  /** A promise that the image file stays until closed. Closing twice is harmless. */
  final class Lease implements AutoCloseable {
    private final Digest digest;
    private boolean held = true;

    private Lease(Digest digest) {
      this.digest = digest;
    }

    Path file() {
      return layout.image(digest);
    }

    @Override
    public void close() {
      synchronized (ImageCache.this) {
        if (held) {
          held = false;
          leases.merge(digest, -1, Integer::sum);
          leases.remove(digest, 0);
        }
      }
    }
  }

  private final CacheLayout layout;
  private final long budgetBytes;
  // All guarded by this. A digest in `fetching` has its bytes reserved against the budget.
  private final Map<Digest, Integer> leases = new HashMap<>();
  private final Map<Digest, Flight> fetching = new HashMap<>();
  private final Map<Digest, Long> reservedBytes = new HashMap<>();

  ImageCache(CacheLayout layout, long budgetBytes) {
    this.layout = layout;
    this.budgetBytes = budgetBytes;
  }

  /**
   * Leases an image, fetching it when the node does not have it. Whoever asks for an image that is
   * being fetched waits for that fetch.
   *
   * @param bytes size of the image file
   * @param listener told of the fetch, whoever asked for it first
   * @throws Abort {@link Abort#CANNOT_CREATE} when the budget or the disk has no room
   */
  Lease lease(Digest digest, long bytes, FetchListener listener, Fetcher fetcher)
      throws Abort, InterruptedException {
    Flight mine = null;
    Flight flight;
    Lease lease;
    synchronized (this) {
      lease = pin(digest);
      flight = fetching.get(digest);
      if (flight == null) {
        if (touch(layout.image(digest))) {
          return lease;
        }
        try {
          makeRoom(bytes);
        } catch (Abort e) {
          lease.close();
          throw e;
        }
        mine = new Flight();
        flight = mine;
        fetching.put(digest, mine);
        reservedBytes.put(digest, bytes);
      }
      flight.waiting.add(listener);
    }
    if (mine != null) {
      fetch(digest, fetcher, mine);
    }
    try {
      flight.landed.get();
      return lease;
    } catch (ExecutionException e) {
      lease.close();
      throw asAbort(e.getCause());
    } catch (InterruptedException e) {
      lease.close();
      throw e;
    }
  }

  /**
   * Leases an image only if the node has it whole; used when a restarted launcher finds its mounts.
   *
   * @return the lease, or null
   */
  synchronized Lease leaseCached(Digest digest) {
    return Files.exists(layout.image(digest)) ? pin(digest) : null;
  }

  private synchronized Lease pin(Digest digest) {
    leases.merge(digest, 1, Integer::sum);
    return new Lease(digest);
  }

  private void fetch(Digest digest, Fetcher fetcher, Flight flight) {
    Throwable failure = null;
    Path staged = layout.staging(digest);
    try {
      try (FileChannel target =
          FileChannel.open(
              staged,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE)) {
        fetcher.fetch(target, flight);
        target.force(true);
      }
      Files.move(staged, layout.image(digest), StandardCopyOption.ATOMIC_MOVE);
    } catch (Exception e) {
      failure = e;
      deleteQuietly(staged);
    }
    synchronized (this) {
      fetching.remove(digest);
      reservedBytes.remove(digest);
    }
    if (failure == null) {
      flight.landed.complete(null);
    } else {
      flight.landed.completeExceptionally(failure);
    }
  }

  private Abort asAbort(Throwable cause) {
    if (cause instanceof Abort abort) {
      return abort;
    }
    if (cause instanceof StoreException e) {
      return Abort.of(e);
    }
    // The JDK has no type for ENOSPC and EDQUOT: java.nio says them only in words.
    String message = String.valueOf(cause.getMessage());
    boolean full = message.contains("No space left") || message.contains("quota exceeded");
    return new Abort(
        full ? Abort.CANNOT_CREATE : Abort.INTERNAL,
        "cannot write the image to cache directory \""
            + layout.cacheDirectory()
            + "\": "
            + message
            + (full ? " (tell the site: the node cache is full)" : " (see the launcher's log)"),
        cause);
  }

  /** Evicts unpinned images, least recently leased first, until {@code bytes} fit the budget. */
  private void makeRoom(long bytes) throws Abort {
    List<Path> cached = cachedOldestFirst();
    long used =
        cached.stream().mapToLong(ImageCache::size).sum()
            + reservedBytes.values().stream().mapToLong(Long::longValue).sum();
    Set<Path> pinned = leases.keySet().stream().map(layout::image).collect(Collectors.toSet());
    for (Path file : cached) {
      if (used + bytes <= budgetBytes) {
        break;
      }
      if (!pinned.contains(file)) {
        used -= size(file);
        deleteQuietly(file);
        log.info("event=evict file={}", file);
      }
    }
    if (used + bytes > budgetBytes) {
      throw new Abort(
          Abort.CANNOT_CREATE,
          String.format(
              "cannot cache the image: it has %d MB, running jobs hold %d of the %d MB that this"
                  + " node's cache may use (try a smaller image or another node)",
              bytes >> 20, used >> 20, budgetBytes >> 20));
    }
  }

  private List<Path> cachedOldestFirst() {
    try (Stream<Path> files = Files.list(layout.images())) {
      return files
          .sorted(Comparator.comparing(ImageCache::lastLeased))
          .collect(Collectors.toCollection(ArrayList::new));
    } catch (IOException e) {
      log.warn("event=cache-unreadable directory={}", layout.images(), e);
      return List.of();
    }
  }

  /** Marks the file as used just now; false when there is none. */
  private static boolean touch(Path file) {
    try {
      Files.setLastModifiedTime(file, FileTime.from(Instant.now()));
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static FileTime lastLeased(Path file) {
    try {
      return Files.getLastModifiedTime(file);
    } catch (IOException e) {
      return FileTime.fromMillis(0);
    }
  }

  private static long size(Path file) {
    try {
      return Files.size(file);
    } catch (IOException e) {
      return 0;
    }
  }

  private static void deleteQuietly(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      log.warn("event=delete-failed file={}", file, e);
    }
  }
}
