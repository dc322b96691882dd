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
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.layercake.store.Digest;
import org.layercake.store.FetchListener;
import org.layercake.store.Image;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The node's images: fetched once, verified, kept under a byte budget, least recently leased first
 * to go. A leased image stays.
 */
final class ImageCache implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(ImageCache.class);
  private static final long CLOSE_MILLIS = 5000;

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
    private final ImageFill fill; // or null
    private boolean held = true;

    private Lease(Digest digest, ImageFill fill) {
      this.digest = digest;
      this.fill = fill;
    }

    Path file() {
      return layout.image(digest);
    }

    /** Starts an image server on the image, whole or while it comes. */
    Program serve(ImageMounts.ServerStart start) throws Abort, InterruptedException {
      return fill == null ? start.with(file(), List.of()) : fill.serve(start);
    }

    /** How long the first look into the mount may take because of what is not there yet. */
    long patienceMillis() {
      return fill == null ? 0 : TimeUnit.SECONDS.toMillis(ImageFill.LIMIT_SECONDS);
    }

    /** Why an image that was promised cannot be had after all, or null. */
    Abort damage() {
      StoreException damage = fill == null ? null : fill.damage();
      return damage == null ? null : Abort.of(damage);
    }

    @Override
    public void close() {
      synchronized (ImageCache.this) {
        if (held) {
          held = false;
          leases.merge(digest, -1, Integer::sum);
          leases.remove(digest, 0);
          if (fill != null && ended.contains(digest) && !leases.containsKey(digest)) {
            discard(fill);
          }
        }
      }
    }
  }

  private final CacheLayout layout;
  private final long budgetBytes;
  private final Runnable afterFetch;
  // All guarded by this. A digest in `fetching` has its bytes reserved against the budget.
  private final Map<Digest, Integer> leases = new HashMap<>();
  private final Map<Digest, Flight> fetching = new HashMap<>();
  private final Map<Digest, Long> reservedBytes = new HashMap<>();
  private final Map<Digest, ImageFill> filling = new HashMap<>();
  private final Map<Digest, Thread> fillers = new HashMap<>();
  private final Set<Digest> ended = new HashSet<>(); // of those filling: not on their way any more

  /**
   * @param afterFetch called when a fetch has ended, however
   */
  ImageCache(CacheLayout layout, long budgetBytes, Runnable afterFetch) {
    this.layout = layout;
    this.budgetBytes = budgetBytes;
    this.afterFetch = afterFetch;
  }

  /**
   * Leases an image, fetching it when the node does not have it. Whoever asks for an image that is
   * being fetched waits for that fetch. Not for one that {@link #isFilling}.
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
   * Leases an image only if the node has it, whole or on its way; used when a restarted launcher
   * finds its mounts.
   *
   * @return the lease, or null
   */
  synchronized Lease leaseCached(Digest digest) {
    boolean here = Files.exists(layout.image(digest)) || filling.containsKey(digest);
    return here ? pin(digest) : null;
  }

  private synchronized Lease pin(Digest digest) {
    leases.merge(digest, 1, Integer::sum);
    return new Lease(digest, filling.get(digest));
  }

  /**
   * Leases an image that can be read as soon as its first chunk is there; the rest comes while it
   * is read.
   *
   * @param listener told of the fetch, whoever asked for it first
   * @throws Abort {@link Abort#CANNOT_CREATE} when the budget or the disk has no room
   */
  Lease leaseWhileFilling(Image image, FetchListener listener, ImageFill.Stores stores)
      throws Abort, InterruptedException {
    Digest digest = image.digest();
    ImageFill fill;
    Lease lease;
    synchronized (this) {
      fill = filling.get(digest);
      if (fill == null && touch(layout.image(digest))) {
        return pin(digest);
      }
      if (fill == null) {
        makeRoom(image.manifest().size());
        fill = begin(image);
        take(fill);
        start(fill, stores);
      }
      lease = pin(digest);
    }
    fill.tell(listener);
    try {
      fill.begun().get();
      if (fill.damage() != null) {
        throw Abort.of(fill.damage());
      }
      return lease;
    } catch (ExecutionException e) {
      lease.close();
      throw asAbort(e.getCause());
    } catch (InterruptedException | Abort e) {
      lease.close();
      throw e;
    }
  }

  /** Whether the image is on its way, and may be read: what an earlier launcher left also is. */
  synchronized boolean isFilling(Digest digest) {
    return filling.containsKey(digest);
  }

  private ImageFill begin(Image image) throws Abort {
    try {
      return ImageFill.begin(layout, image);
    } catch (IOException e) {
      throw asAbort(e);
    }
  }

  private synchronized void take(ImageFill fill) {
    filling.put(fill.digest(), fill);
    reservedBytes.put(fill.digest(), fill.bytes());
  }

  private synchronized void start(ImageFill fill, ImageFill.Stores stores) {
    Thread thread = new Thread(() -> run(fill, stores), "fill");
    thread.setDaemon(true);
    fillers.put(fill.digest(), thread);
    thread.start();
  }

  /** Ends what is under way; the image servers wait for the next launcher. */
  @Override
  public void close() {
    List<Thread> threads;
    synchronized (this) {
      threads = List.copyOf(fillers.values());
    }
    threads.forEach(Thread::interrupt);
    for (Thread thread : threads) {
      try {
        thread.join(CLOSE_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }

  private void run(ImageFill fill, ImageFill.Stores stores) {
    long started = System.nanoTime();
    try {
      if (fill.run(stores, () -> isLeased(fill.digest()))) {
        log.info(
            "event=fetched digest={} bytes={} millis={}",
            fill.digest(),
            fill.bytes(),
            (System.nanoTime() - started) / 1_000_000);
        forget(fill);
      } else {
        discardWhenUnused(fill);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      synchronized (this) {
        fillers.remove(fill.digest(), Thread.currentThread());
      }
      afterFetch.run();
    }
  }

  /** What is not complete, and not on its way any more, stays for those who run it. */
  private synchronized void discardWhenUnused(ImageFill fill) {
    ended.add(fill.digest());
    if (!leases.containsKey(fill.digest())) {
      discard(fill);
    }
  }

  private synchronized void discard(ImageFill fill) {
    forget(fill);
    try {
      fill.close();
    } catch (IOException e) {
      log.warn("event=delete-failed digest={}", fill.digest(), e);
    }
  }

  private synchronized void forget(ImageFill fill) {
    filling.remove(fill.digest());
    reservedBytes.remove(fill.digest());
    ended.remove(fill.digest());
  }

  /** Whether no image is on its way. */
  synchronized boolean isQuiet() {
    return fetching.isEmpty() && fillers.isEmpty();
  }

  private synchronized boolean isLeased(Digest digest) {
    return leases.containsKey(digest);
  }

  /** Goes on with the fills of an earlier launcher whose image servers wait, drops the others. */
  void recover(Predicate<Digest> isServed, ImageFill.Stores stores) throws IOException {
    for (Digest digest : layout.filling()) {
      try {
        if (isServed.test(digest)) {
          ImageFill fill = ImageFill.resume(layout, digest);
          take(fill);
          start(fill, stores);
          continue;
        }
      } catch (IOException | StoreException e) {
        log.warn("event=fill-lost digest={} cause={}", digest, e.getMessage());
      }
      ImageFill.delete(layout, digest);
    }
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
    afterFetch.run();
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
    boolean full = StoreException.saysNoRoom(cause);
    return new Abort(
        full ? Abort.CANNOT_CREATE : Abort.INTERNAL,
        "cannot write the image to cache directory \""
            + layout.cacheDirectory()
            + "\": "
            + cause.getMessage()
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
