package org.layercake.launcher;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
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

  /** So many manifests are read, before the first byte of an image is copied. */
  private static final int MAX_OTHERS = 32;

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
      return fill == null ? 0 : fill.patienceMillis();
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
  private final ImageFill.Pace pace;
  private final ImageFill.Stores stores;
  private final Runnable afterFetch;
  // All guarded by this.
  private final Map<Digest, Integer> leases = new HashMap<>();
  private final Map<Digest, ImageFill> filling = new HashMap<>(); // their bytes are reserved
  private final Set<Digest> ended = new HashSet<>(); // of those filling: not on their way any more
  private final Set<Thread> threads = new HashSet<>();

  /**
   * @param stores where images come from
   * @param afterFetch called when a fetch has ended, however
   */
  ImageCache(
      CacheLayout layout,
      long budgetBytes,
      ImageFill.Pace pace,
      ImageFill.Stores stores,
      Runnable afterFetch) {
    this.layout = layout;
    this.budgetBytes = budgetBytes;
    this.pace = pace;
    this.stores = stores;
    this.afterFetch = afterFetch;
  }

  /**
   * Leases an image, fetching it when the node does not have it. Whoever asks for an image that is
   * being fetched takes part in that fetch.
   *
   * @param whole waits until all of it is there; otherwise it can be read as soon as its first
   *     chunk is, and the rest comes while it is read
   * @param listener told of the fetch, whoever asked for it first
   * @throws Abort {@link Abort#CANNOT_CREATE} when the budget or the disk has no room
   */
  Lease lease(Image image, boolean whole, FetchListener listener)
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
        start(fill);
      }
      lease = pin(digest);
    }
    fill.tell(listener);
    try {
      (whole ? fill.whole() : fill.begun()).get();
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

  private ImageFill begin(Image image) throws Abort {
    try {
      return ImageFill.begin(layout, image, pace);
    } catch (IOException e) {
      throw asAbort(e);
    }
  }

  private synchronized void start(ImageFill fill) {
    filling.put(fill.digest(), fill);
    Thread thread = new Thread(() -> run(fill), "fill");
    thread.setDaemon(true);
    threads.add(thread);
    thread.start();
  }

  /** Ends what is under way; the image servers wait for the next launcher. */
  @Override
  public void close() {
    List<Thread> running;
    synchronized (this) {
      running = List.copyOf(threads);
    }
    running.forEach(Thread::interrupt);
    for (Thread thread : running) {
      try {
        thread.join(CLOSE_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }

  private void run(ImageFill fill) {
    try {
      boolean whole = false;
      do {
        whole = fill.run(stores, () -> isLeased(fill.digest()), this::others);
      } while (!whole && !end(fill));
      if (whole && publish(fill)) {
        afterFetch.run();
        fill.recordStart(stores);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (IOException e) {
      log.warn("event=close-failed digest={}", fill.digest(), e);
    } finally {
      synchronized (this) {
        threads.remove(Thread.currentThread());
      }
      afterFetch.run();
    }
  }

  private boolean publish(ImageFill fill) {
    synchronized (this) {
      try {
        fill.publish();
        forget(fill);
      } catch (IOException e) {
        log.error("event=publish-failed digest={}", fill.digest(), e);
        fill.failWhole(e);
        finish(fill);
        return false;
      }
    }
    fill.announce();
    return true;
  }

  /** False if somebody came in the last moment for whom it must go on. */
  private synchronized boolean end(ImageFill fill) {
    if (isLeased(fill.digest()) && fill.canGoOn()) {
      return false;
    }
    finish(fill);
    return true;
  }

  /** What is not complete, and not on its way any more, stays for those who run it. */
  private synchronized void finish(ImageFill fill) {
    fill.giveUp();
    ended.add(fill.digest());
    if (!isLeased(fill.digest())) {
      discard(fill);
    }
  }

  private synchronized void discard(ImageFill fill) {
    forget(fill);
    try {
      fill.discard();
    } catch (IOException e) {
      log.warn("event=delete-failed digest={}", fill.digest(), e);
    }
  }

  private synchronized void forget(ImageFill fill) {
    filling.remove(fill.digest());
    ended.remove(fill.digest());
  }

  /** Whether no image is on its way. */
  synchronized boolean isQuiet() {
    return ended.containsAll(filling.keySet());
  }

  private synchronized boolean isLeased(Digest digest) {
    return leases.containsKey(digest);
  }

  /** Complete images in which another's chunks may be, the last used ones first. */
  private List<Digest> others() {
    List<Digest> others = new ArrayList<>();
    for (Path file : cachedOldestFirst()) {
      Digest digest = layout.digestOfImage(file);
      if (digest != null && Files.exists(layout.manifest(digest))) {
        others.add(0, digest);
      }
    }
    return others.subList(0, Math.min(MAX_OTHERS, others.size()));
  }

  /** Goes on with the fills of an earlier launcher whose image servers wait, drops the others. */
  void recover(Predicate<Digest> isServed) throws IOException {
    for (Digest digest : layout.filling()) {
      try {
        if (isServed.test(digest)) {
          start(ImageFill.resume(layout, digest, pace));
          continue;
        }
      } catch (IOException | StoreException e) {
        log.warn("event=fill-lost digest={} cause={}", digest, e.getMessage());
      }
      ImageFill.delete(layout, digest);
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

  /** Evicts unpinned images, least recently leased first, until there is room for the bytes. */
  private void makeRoom(long bytes) throws Abort {
    Set<Path> pinned = leases.keySet().stream().map(layout::image).collect(Collectors.toSet());
    List<Path> unpinned = new ArrayList<>(cachedOldestFirst());
    unpinned.removeAll(pinned);
    for (Path file : unpinned) {
      if (shortOf(bytes) <= 0) {
        break;
      }
      evict(file);
    }
    long missing = shortOf(bytes);
    if (missing > 0) {
      throw new Abort(
          Abort.CANNOT_CREATE,
          String.format(
              "cannot cache the image: it has %d MB, and %d MB are missing beside what running jobs"
                  + " hold, of the %d MB that the cache may use or on its disk (try a smaller image"
                  + " or another node)",
              bytes >> 20, (missing >> 20) + 1, budgetBytes >> 20));
    }
  }

  /** How many bytes are missing, in the budget or on the disk, for so many more. */
  private long shortOf(long bytes) throws Abort {
    long cached =
        cachedOldestFirst().stream()
            .filter(file -> !filling.containsKey(layout.digestOfImage(file)))
            .mapToLong(ImageCache::size)
            .sum();
    long reserved = filling.values().stream().mapToLong(ImageFill::bytes).sum();
    long promised = filling.values().stream().mapToLong(ImageFill::bytesMissing).sum();
    try {
      return Math.max(
          cached + reserved + bytes - budgetBytes, promised + bytes - layout.usableBytes());
    } catch (IOException e) {
      throw asAbort(e);
    }
  }

  private void evict(Path image) {
    deleteQuietly(image);
    Digest digest = layout.digestOfImage(image);
    if (digest != null) {
      deleteQuietly(layout.manifest(digest));
    }
    log.info("event=evict file={}", image);
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
