package org.layercake.launcher.image;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.TRUNCATE_EXISTING;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.layercake.launcher.image.FillMap.State.GIVEN_UP;
import static org.layercake.launcher.image.FillMap.State.PRESENT;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Background;
import org.layercake.launcher.node.Program;
import org.layercake.store.FetchListener;
import org.layercake.store.Filler;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.Manifest;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An image on its way into the cache, which can be read while it comes: what a reader waits for is
 * fetched first, the rest beside it. Its files, and how the image server speaks to us, are
 * described in docs/protocol.md, "Image servers". A launcher that is killed leaves enough for the
 * next one to go on.
 */
final class ImageFill implements Filler {
  private static final Logger log = LoggerFactory.getLogger(ImageFill.class);

  private static final int URGENT = 0;
  private static final int LIKELY = 1;
  private static final int TOUCHED = 2;
  private static final int LOST = 3;
  private static final long RETRY_MILLIS = 2000;

  /** Where the store is; it may have to be connected first. */
  interface Stores {
    ImageStore get() throws StoreException;
  }

  private final CacheLayout layout;
  private final ImageKey key;
  private final ImageName source;
  private final ImageSettings.Pace pace;
  private final FileChannel file;
  private final CompletableFuture<Void> begun = new CompletableFuture<>();
  private final List<FetchListener> listeners = new CopyOnWriteArrayList<>();
  private final long createdNanos = System.nanoTime();
  private final StartRecord startRecord = new StartRecord();
  private volatile Runnable call = () -> {};
  private volatile Image image; // null until asked for again after a restart, and at the end

  // All guarded by this.
  private final FillMap map;
  private final FillOrder order;
  private final BitSet asked = new BitSet();
  private final BitSet lost = new BitSet();
  private CompletableFuture<Void> whole = new CompletableFuture<>();
  private CompletableFuture<Void> seeded; // null before it begins
  private boolean seeding;
  private Throwable failure; // the last, unless something has come since
  private int serversStarting; // they open the files of the fill, whether or not it goes on
  private boolean published;
  private long bytesDone;
  private long bytesCopied;
  private StoreException damage;
  private boolean closed;
  private ReaderPipe readers; // null before there are any

  private ImageFill(
      CacheLayout layout,
      ImageKey key,
      ImageName source,
      ImageSettings.Pace pace,
      FillMap map,
      FileChannel file) {
    this.layout = layout;
    this.key = key;
    this.source = source;
    this.pace = pace;
    this.map = map;
    this.file = file;
    BitSet missing = map.missing();
    bytesDone = map.bytes() - missing.stream().mapToLong(map::length).sum();
    order = new FillOrder(missing, pace.restNanos(map.bytes() / map.chunks()), System::nanoTime);
    order.want(0); // a mount begins there
  }

  /** Makes the files of a fill of which nothing is there yet. */
  static ImageFill begin(CacheLayout layout, Image image, ImageSettings.Pace pace)
      throws IOException {
    ImageKey key = ImageKey.of(image);
    Files.deleteIfExists(layout.fillWanted(key));
    Files.deleteIfExists(layout.fillArrived(key));
    FileChannel file =
        FileChannel.open(layout.staging(key), CREATE, TRUNCATE_EXISTING, READ, WRITE);
    FillMap map = null;
    try {
      file.write(ByteBuffer.allocate(1), image.manifest().size() - 1);
      map = FillMap.create(layout.fillMap(key), image.manifest().chunks());
      layout.writeFillSource(key, image.pinned().toString());
      ImageFill fill = new ImageFill(layout, key, image.pinned(), pace, map, file);
      fill.image = image;
      return fill;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      closeAll(file, map);
      throw e;
    }
  }

  /** Takes up what an earlier launcher was filling: its image server lives and is asking. */
  static ImageFill resume(CacheLayout layout, ImageKey key, ImageSettings.Pace pace)
      throws IOException, StoreException {
    ImageName source = ImageName.parse(layout.readFillSource(key));
    FillMap map = FillMap.open(layout.fillMap(key));
    FileChannel file = null;
    try {
      file = FileChannel.open(layout.staging(key), READ, WRITE);
      ImageFill fill = new ImageFill(layout, key, source, pace, map, file);
      fill.begun.complete(null);
      fill.answerReaders();
      return fill;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      closeAll(file, map);
      throw e;
    }
  }

  private static void closeAll(Closeable... all) {
    for (Closeable each : all) {
      try {
        if (each != null) {
          each.close();
        }
      } catch (IOException e) {
        log.warn("event=close-failed cause={}", e.toString());
      }
    }
  }

  ImageKey key() {
    return key;
  }

  /** Complete when something of the image is there, or when nothing could be had at all. */
  CompletableFuture<Void> begun() {
    return begun;
  }

  /** Complete when all of the image is there, or when that failed. */
  synchronized CompletableFuture<Void> whole() {
    order.hurry();
    call.run();
    return whole;
  }

  synchronized long bytes() {
    return map.bytes();
  }

  int chunks() {
    return map.chunks();
  }

  synchronized long bytesMissing() {
    return map.bytes() - bytesDone;
  }

  /** How long the first look into the image may take because of what is not there yet. */
  long patienceMillis() {
    return TimeUnit.SECONDS.toMillis(pace.waitSeconds());
  }

  /** Whether it is worth another run. */
  synchronized boolean canGoOn() {
    return begun.isDone() && !begun.isCompletedExceptionally() && damage == null && !closed;
  }

  void tell(FetchListener listener) {
    listeners.add(listener);
  }

  /** What of the image cannot be had, or null. */
  synchronized StoreException damage() {
    return damage;
  }

  /** What keeps the image away: for good, or for now; null when nothing is known. */
  synchronized StoreException trouble() {
    return damage == null && failure instanceof StoreException waiting ? waiting : damage;
  }

  /**
   * Starts an image server, on the files of the fill if it goes on, and answers it from then on.
   * Files are not removed while a server opens them.
   */
  Program serve(ImageMounts.ServerStart start) throws Abort, InterruptedException {
    if (beginServing()) {
      try {
        return serveFilling(start);
      } catch (Abort e) {
        if (!isPublished()) {
          throw e;
        }
        log.debug("event=published-meanwhile image={}", key);
      } finally {
        endServing();
      }
    }
    return start.with(layout.image(key), List.of());
  }

  private synchronized boolean beginServing() {
    serversStarting += published ? 0 : 1;
    return !published;
  }

  private synchronized void endServing() {
    serversStarting--;
    if (published && serversStarting == 0) {
      delete(layout, key);
    }
  }

  private synchronized boolean isPublished() {
    return published;
  }

  private Program serveFilling(ImageMounts.ServerStart start) throws Abort, InterruptedException {
    Program server =
        start.with(
            layout.staging(key),
            List.of(
                layout.fillMap(key).toString(),
                layout.fillWanted(key).toString(),
                layout.fillArrived(key).toString(),
                Integer.toString(pace.waitSeconds())));
    try {
      answerReaders();
      return server;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      server.handle().destroyForcibly();
      throw new Abort(Abort.INTERNAL, "cannot open the FIFOs of an image: " + e.getMessage(), e);
    }
  }

  private synchronized void answerReaders() throws IOException {
    if (readers == null && !closed) {
      readers = ReaderPipe.open(layout.fillWanted(key), layout.fillArrived(key), this::heard);
    }
  }

  /** The server may be in the hands of a hostile image: what it says is bounded by the map. */
  private synchronized void heard(int chunk, int what) {
    if (chunk < 0 || chunk >= map.chunks()) {
      return;
    }
    switch (what) {
      case URGENT -> {
        asked.set(chunk);
        order.want(chunk);
        call.run();
      }
      case LIKELY -> {
        asked.set(chunk);
        order.wantLater(chunk);
        call.run();
      }
      case TOUCHED -> startRecord.note(chunk);
      case LOST -> {
        if (!lost.get(chunk)) {
          lost.set(chunk);
          log.error(
              "event=read-failed image={} chunk={} seconds={}", key, chunk, pace.waitSeconds());
        }
      }
      default -> log.debug("event=unknown-word image={} word={}", key, what);
    }
  }

  @Override
  public void begin(Runnable call) {
    this.call = call;
  }

  @Override
  public synchronized Next next(int reading) {
    return closed ? Nothing.MORE : order.next(reading);
  }

  @Override
  public void store(int chunk, ByteBuffer content) throws IOException {
    long offset;
    synchronized (this) {
      offset = map.offset(chunk);
    }
    while (content.hasRemaining()) {
      offset += file.write(content, offset);
    }
    synchronized (this) {
      if (!map.is(chunk, PRESENT)) {
        bytesDone += map.length(chunk);
        failure = null;
        settle(chunk, PRESENT);
        listeners.forEach(listener -> listener.fetched(bytesDone));
      }
    }
    begun.complete(null);
  }

  /** One damaged chunk does not keep the others away; when the store fails the next run tries. */
  @Override
  public synchronized void failed(int chunk, StoreException cause) throws StoreException {
    if (!isDamage(cause) || !begun.isDone()) {
      throw cause;
    }
    log.error("event=chunk-lost image={} chunk={} cause={}", key, chunk, cause.getMessage());
    damage = cause;
    try {
      settle(chunk, GIVEN_UP);
    } catch (IOException e) {
      log.warn("event=map-unwritable image={}", key, e);
    }
  }

  private static boolean isDamage(Throwable cause) {
    return cause instanceof StoreException failure && failure.kind() == StoreException.Kind.CORRUPT;
  }

  private void settle(int chunk, FillMap.State state) throws IOException {
    map.set(chunk, state);
    order.settled(chunk);
    if (asked.get(chunk)) {
      ring();
    }
  }

  private void ring() {
    if (readers != null) {
      readers.ring();
    }
  }

  /**
   * Fills until all is there, or nobody wants it any more.
   *
   * @param needed whether a job has the image
   * @param others complete images of the node, in which chunks of this one may be
   * @return whether the image is complete, and to be published
   */
  boolean run(Stores stores, BooleanSupplier needed, Supplier<List<ImageKey>> others)
      throws InterruptedException {
    try {
      return fill(stores, needed, others);
    } finally {
      endSeeding();
    }
  }

  private boolean fill(Stores stores, BooleanSupplier needed, Supplier<List<ImageKey>> others)
      throws InterruptedException {
    while (true) {
      try {
        ImageStore store = stores.get();
        if (image == null) {
          image = store.reload(source);
        }
        seed(store, others);
        synchronized (this) {
          order.beginAnew();
        }
        store.fill(image, this);
        return isWhole();
      } catch (Throwable e) { // memory and threads that are missing now may be there later
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
        failWhole(e);
        if (begun.completeExceptionally(e) || !needed.getAsBoolean() || isClosed()) {
          return false;
        }
        // A chunk that was lost before anything was there is given up in the next run, at once.
        if (image == null || !isDamage(e)) {
          String cause = e.getMessage() == null ? e.toString() : e.getMessage();
          log.warn("event=fill-waits image={} cause={}", key, cause);
          listeners.forEach(listener -> listener.waits(cause));
          Thread.sleep(RETRY_MILLIS);
        }
      }
    }
  }

  /** Those who wait for all of it hear of a failure; those who read wait for better times. */
  synchronized void failWhole(Throwable cause) {
    failure = cause;
    whole.completeExceptionally(cause);
    whole = new CompletableFuture<>();
  }

  /** To be called when it cannot be run: all who wait hear why. */
  void fail(Throwable cause) {
    failWhole(cause);
    begun.completeExceptionally(cause);
  }

  /** To be called when it is not run any more: nobody is to wait for all of it, now or later. */
  synchronized void giveUp() {
    whole.completeExceptionally(failure == null ? new IOException("the fetch ended") : failure);
  }

  /** Finds out, beside the first reads, what will be read first and what is on the node already. */
  private synchronized void seed(ImageStore store, Supplier<List<ImageKey>> others) {
    if (seeded == null) {
      seeding = true;
      seeded =
          CompletableFuture.runAsync(
              () -> {
                expect(store);
                copy(others);
              },
              task -> Background.start("seed", task));
    }
  }

  /** The store may be closed after a run, and then must not be in use. */
  private void endSeeding() {
    CompletableFuture<Void> running;
    synchronized (this) {
      seeding = false;
      running = seeded;
    }
    if (running != null) {
      // What ended it otherwise than well, an OutOfMemoryError too, costs copies and no more.
      running
          .exceptionally(
              e -> {
                log.warn("event=copy-failed image={} cause={}", key, e.toString());
                return null;
              })
          .join();
    }
  }

  private void expect(ImageStore store) {
    try {
      List<Integer> expected = store.startProfile(image).chunks();
      synchronized (this) {
        order.expect(expected);
      }
      call.run();
    } catch (StoreException | RuntimeException e) {
      log.info("event=no-start-profile image={} cause={}", key, e.getMessage());
    }
  }

  private void copy(Supplier<List<ImageKey>> others) {
    try {
      Seeds seeds = Seeds.find(layout, image.manifest(), others.get());
      synchronized (this) {
        order.copy(seeds.chunks());
      }
      call.run();
      if (seeds.chunks().isEmpty()) {
        return;
      }
      ByteBuffer buffer = ByteBuffer.allocateDirect(longest());
      for (OptionalInt chunk = nextCopy(); chunk.isPresent(); chunk = nextCopy()) {
        copy(seeds, chunk.getAsInt(), buffer);
      }
    } catch (IOException | RuntimeException e) {
      log.warn("event=copy-failed image={} cause={}", key, e.getMessage());
    } finally {
      synchronized (this) {
        order.copyNothing();
      }
      call.run();
    }
  }

  private synchronized OptionalInt nextCopy() {
    return seeding ? order.nextCopy() : OptionalInt.empty();
  }

  private void copy(Seeds seeds, int chunk, ByteBuffer buffer) throws IOException {
    if (seeds.read(chunk, buffer)) {
      store(chunk, buffer);
      synchronized (this) {
        bytesCopied += map.length(chunk);
      }
    } else {
      synchronized (this) {
        order.uncopied(chunk);
      }
    }
  }

  private int longest() {
    return image.manifest().chunks().stream().mapToInt(Manifest.Chunk::length).max().orElse(0);
  }

  private synchronized boolean isClosed() {
    return closed;
  }

  /**
   * False if something could not be had: the image is good for those who run it, as far as it goes.
   */
  private boolean isWhole() throws IOException {
    synchronized (this) {
      if (damage != null) {
        failWhole(damage);
      }
      if (closed || !map.missing().isEmpty()) {
        return false;
      }
    }
    file.force(true);
    layout.writeManifest(key, image.manifest());
    return true;
  }

  /**
   * Makes the complete image one of the cache. From then on we do not hold its file: the room of an
   * evicted image must be free at once.
   */
  synchronized void publish() throws IOException {
    Files.move(layout.staging(key), layout.image(key), StandardCopyOption.ATOMIC_MOVE);
    published = true;
    closeAll(file, map);
    if (serversStarting == 0) {
      delete(layout, key);
    }
  }

  /** Tells all who wait that the image has been published. */
  synchronized void announce() {
    ring();
    whole.complete(null);
    log.info(
        "event=fetched image={} bytes={} copied={} millis={}",
        source,
        bytes(),
        bytesCopied,
        (System.nanoTime() - createdNanos) / 1_000_000);
  }

  /** To be called when the image was published: sees the start to its end, and ends the fill. */
  void recordStart(Stores stores) throws InterruptedException {
    try {
      if (hasReaders()) {
        startRecord.awaitEnd();
        startRecord.save(stores.get(), image);
      }
    } catch (StoreException | RuntimeException e) {
      log.info("event=start-not-recorded image={} cause={}", key, e.getMessage());
    } finally {
      end();
    }
  }

  private synchronized boolean hasReaders() {
    return readers != null;
  }

  /** Ends an unfinished fill and removes its files. */
  void discard() {
    end();
    delete(layout, key);
  }

  private void end() {
    synchronized (this) {
      closed = true;
      closeAll(readers, file, map);
    }
    call.run();
    call = () -> {};
    image = null;
  }

  /** Removes the files of a fill that nobody goes on with. */
  static void delete(CacheLayout layout, ImageKey key) {
    for (Path path :
        List.of(
            layout.fillSource(key),
            layout.fillMap(key),
            layout.fillWanted(key),
            layout.fillArrived(key),
            layout.staging(key))) {
      try {
        Files.deleteIfExists(path);
      } catch (IOException e) {
        log.warn("event=delete-failed file={} cause={}", path, e.toString());
      }
    }
  }
}
