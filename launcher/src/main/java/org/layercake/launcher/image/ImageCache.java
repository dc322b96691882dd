package org.layercake.launcher.image;

import java.io.IOException;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.function.Predicate;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.Program;
import org.layercake.store.ExitCode;
import org.layercake.store.FetchListener;
import org.layercake.store.Image;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The node's images: fetched once for each access domain, verified, kept under a byte budget, least
 * recently leased first to go. A leased image stays.
 *
 * <p>An image is given to those who were allowed to read it in its domain, never by its digest
 * alone; see {@link ImageKey}.
 */
final class ImageCache implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(ImageCache.class);
  private static final long CLOSE_MILLIS = 5000;

  /** So many manifests are read, before the first byte of an image is copied. */
  private static final int MAX_OTHERS = 32;

  /**
   * Chunks of the images on their way, together, at some 60 bytes of memory each: three of the
   * largest.
   */
  private static final int MAX_CHUNKS_ON_THE_WAY = 600_000;

  /** A promise that the image file stays until closed. Closing twice is harmless. */
  final class Lease implements AutoCloseable {
    private final ImageKey key;
    private final long uid;
    private final ImageFill fill; // or null
    private final Bytes before;
    private boolean held = true;

    private Lease(ImageKey key, long uid, ImageFill fill) {
      this.key = key;
      this.uid = uid;
      this.fill = fill;
      this.before = fill == null ? new Bytes(0, 0, cached.bytes(key)) : fill.here();
    }

    /** How what is there of the image has come, from when it was leased. */
    Bytes bytes() {
      return fill == null ? before : fill.here().since(before);
    }

    ImageKey key() {
      return key;
    }

    /** Of the user's own mount of the image. */
    MountKey mountKey() {
      return new MountKey(key, uid);
    }

    /** Starts an image server on the image, whole or while it comes. */
    Program serve(ImageMounts.ServerStart start) throws Abort, InterruptedException {
      return fill == null ? start.with(layout.image(key), List.of()) : fill.serve(uid, start);
    }

    /** How long the first look into the mount may take because of what is not there yet. */
    long patienceMillis() {
      return fill == null ? 0 : fill.patienceMillis();
    }

    /** Why an image that was promised cannot be had after all, or not now; null if it can. */
    Abort trouble() {
      StoreException trouble = fill == null ? null : fill.trouble();
      return trouble == null ? null : Abort.of(trouble);
    }

    @Override
    public void close() {
      synchronized (ImageCache.this) {
        if (held) {
          held = false;
          leases.remove(key, uid);
          if (fill != null && fills.has(fill) && fills.hasEnded(fill)) {
            discardUnlessLeased(fill);
          }
        }
      }
    }
  }

  private final CacheLayout layout;
  private final ImageSettings.Pace pace;
  private final ImageFill.Stores stores;
  private final Runnable afterFetch;
  // All guarded by this, which is held over local files' names and sizes and never while waiting.
  private final CachedImages cached;
  private final Leases leases = new Leases();
  private final Fills fills = new Fills(); // their bytes are reserved
  private final Room room;
  private final Set<Thread> threads = new HashSet<>();
  private boolean open;

  /**
   * A cache that fetches nothing until it is {@link #open}.
   *
   * @param stores where images come from
   * @param afterFetch called when a fetch has ended, however
   */
  ImageCache(
      CacheLayout layout,
      ImageSettings.Limits limits,
      ImageSettings.Pace pace,
      ImageFill.Stores stores,
      Runnable afterFetch) {
    this(layout, limits, pace, stores, afterFetch, MAX_CHUNKS_ON_THE_WAY);
  }

  /** As above, with a bound of its own on the chunks of the images on their way. */
  ImageCache(
      CacheLayout layout,
      ImageSettings.Limits limits,
      ImageSettings.Pace pace,
      ImageFill.Stores stores,
      Runnable afterFetch,
      int maxChunks) {
    this.layout = layout;
    this.pace = pace;
    this.stores = stores;
    this.afterFetch = afterFetch;
    this.cached = new CachedImages(layout);
    this.room = new Room(layout, limits, maxChunks, cached, leases, fills);
  }

  /**
   * Takes up what an earlier launcher was filling and somebody reads, without going on with it:
   * what jobs have must be known first, by {@link #leaseCached}.
   */
  synchronized void recover(Predicate<ImageKey> isServed) {
    for (ImageKey key : layout.filling()) {
      try {
        if (isServed.test(key)) {
          fills.add(ImageFill.resume(layout, key, pace));
          continue;
        }
      } catch (IOException | StoreException | RuntimeException | OutOfMemoryError e) {
        key.on(Event.FILL_LOST, log).addKeyValue("cause", e.toString()).log();
      }
      FillFiles.delete(layout, key);
    }
  }

  /** From here on images are fetched. What was taken up goes on if somebody has leased it. */
  synchronized void open() {
    open = true;
    for (ImageFill fill : fills.all()) {
      if (!leases.has(fill.key())) {
        discard(fill);
        continue;
      }
      try {
        run(fill);
      } catch (Abort e) {
        fill.key().on(Event.FILL_LOST, log).addKeyValue("cause", e.getMessage()).log();
        finish(fill);
      }
    }
  }

  /**
   * Leases an image, fetching it when the node does not have it. All who ask for an image that is
   * being fetched take part in that fetch.
   *
   * @param image of a domain that the user may read
   * @param uid whose job it is for
   * @param whole waits until all of it is there; otherwise it can be read as soon as its first
   *     chunk is, and the rest comes while it is read
   * @param listener told of the fetch, whoever asked for it first
   * @throws Abort {@link ExitCode#FULL} when the budget, the user's share of it or the disk has no
   *     room
   */
  Lease lease(Image image, long uid, boolean whole, FetchListener listener)
      throws Abort, InterruptedException {
    ImageKey key = ImageKey.of(image);
    ImageFill fill;
    Lease lease;
    synchronized (this) {
      fill = fills.get(key);
      boolean here = fill == null && cached.has(key);
      room.requireShare(uid, key, image.manifest().size());
      if (here) {
        cached.use(key);
        fills.cached(cached.bytes(key));
        return pin(key, uid);
      }
      if (fill == null) {
        fill = begin(image, uid);
      }
      lease = pin(key, uid);
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
   * finds its mounts. What a job has already is not measured again. While the cache directory
   * cannot be read the node is taken to have it: the image server reads on, whatever we can see.
   *
   * @return the lease, or null
   */
  synchronized Lease leaseCached(ImageKey key, long uid) {
    boolean here = fills.get(key) != null || cached.has(key) || !layout.isUsable();
    return here ? pin(key, uid) : null;
  }

  private Lease pin(ImageKey key, long uid) {
    leases.add(key, uid);
    return new Lease(key, uid, fills.get(key));
  }

  private ImageFill begin(Image image, long uid) throws Abort {
    room.requireFewChunks(image.manifest().chunks().size(), uid);
    room.make(image.manifest().size());
    ImageFill fill;
    try {
      fill = ImageFill.begin(layout, image, pace);
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      FillFiles.delete(layout, ImageKey.of(image));
      throw asAbort(e);
    }
    fills.add(fill, uid);
    if (open) {
      try {
        run(fill);
      } catch (Abort e) {
        discard(fill);
        throw e;
      }
    }
    return fill;
  }

  private void run(ImageFill fill) throws Abort {
    Thread thread = new Thread(() -> fill(fill), "fill");
    thread.setDaemon(true);
    threads.add(thread);
    try {
      thread.start();
    } catch (OutOfMemoryError e) { // so the JDK says that there are too many threads
      threads.remove(thread);
      throw asAbort(e);
    }
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

  private void fill(ImageFill fill) {
    try {
      boolean whole = false;
      do {
        whole = fill.run(stores, () -> isLeased(fill.key()), () -> others(fill.key()));
      } while (!whole && !end(fill));
      if (whole && publish(fill)) {
        afterFetch.run();
        fill.recordStart(stores);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (Throwable e) { // also an OutOfMemoryError: nobody may wait for ever
      fill.key().on(Event.FILL_FAILED, log).setCause(e).log();
      abandon(fill, e);
    } finally {
      synchronized (this) {
        threads.remove(Thread.currentThread());
      }
      afterFetch.run();
    }
  }

  private synchronized void abandon(ImageFill fill, Throwable cause) {
    if (fills.has(fill)) {
      fill.fail(cause);
      finish(fill);
    }
  }

  private boolean publish(ImageFill fill) {
    synchronized (this) {
      try {
        fill.publish();
        fills.remove(fill);
        cached.add(fill.key(), fill.bytes());
      } catch (IOException e) {
        fill.key().on(Event.PUBLISH_FAILED, log).setCause(e).log();
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
    if (leases.has(fill.key()) && fill.canGoOn()) {
      return false;
    }
    if (fills.has(fill)) {
      finish(fill);
    }
    return true;
  }

  /** What is not complete, and not on its way any more, stays for those who run it. */
  private void finish(ImageFill fill) {
    fill.giveUp();
    fills.end(fill);
    discardUnlessLeased(fill);
  }

  private void discardUnlessLeased(ImageFill fill) {
    if (!leases.has(fill.key())) {
      discard(fill);
    }
  }

  private void discard(ImageFill fill) {
    fills.remove(fill);
    fill.discard();
  }

  /** What is here; of servers it knows nothing. */
  synchronized ImagesStatus status(
      String store, boolean isConnected, long budgetBytes, List<ImagesStatus.Served> servers) {
    List<ImagesStatus.Cached> images =
        cached.oldestFirst(List.of()).stream()
            .map(
                k ->
                    new ImagesStatus.Cached(
                        k, cached.bytes(k), cached.lastUsed(k), leases.users(k)))
            .toList();
    List<ImagesStatus.Filling> filling = fills.all().stream().map(ImageFill::status).toList();
    return new ImagesStatus(
        store, isConnected, budgetBytes, fills.total(), images, filling, servers);
  }

  /** Whether no image is on its way. */
  synchronized boolean isQuiet() {
    return fills.areQuiet();
  }

  private synchronized boolean isLeased(ImageKey key) {
    return leases.has(key);
  }

  /**
   * Complete images in which chunks of another may be, the last used ones first: only such as all
   * who have the other may read.
   */
  private synchronized List<ImageKey> others(ImageKey key) {
    List<ImageKey> others = cached.oldestFirst(List.of());
    others.removeIf(other -> !other.maySeed(key));
    Collections.reverse(others);
    return others.subList(0, Math.min(MAX_OTHERS, others.size()));
  }

  private Abort asAbort(Throwable cause) {
    if (cause instanceof Abort abort) {
      return abort;
    }
    if (cause instanceof StoreException e) {
      return Abort.of(e);
    }
    if (cause instanceof IOException e) {
      return layout.unwritable(e);
    }
    return new Abort(
        ExitCode.INTERNAL,
        "cannot fetch the image: " + cause + " (tell the site: see the launcher's log)",
        cause);
  }
}
