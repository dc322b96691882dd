package org.layercake.launcher.image;

import static org.layercake.launcher.image.FillMap.State.GIVEN_UP;
import static org.layercake.launcher.image.FillMap.State.PRESENT;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.Program;
import org.layercake.store.ExitCode;
import org.layercake.store.FetchListener;
import org.layercake.store.Filler;
import org.layercake.store.Image;
import org.layercake.store.ImageStore;
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

  private static final long RETRY_MILLIS = 2000;

  /** Where the store is; it may have to be connected first. */
  interface Stores {
    ImageStore get() throws StoreException;
  }

  private final CacheLayout layout;
  private final ImageKey key;
  private final FillFiles files;
  private final ImageSettings.Pace pace;
  private final FillOrder order;
  private final FillReaders readers;
  private final CompletableFuture<Void> begun = new CompletableFuture<>();
  private final List<FetchListener> listeners = new CopyOnWriteArrayList<>();
  private final long createdNanos = System.nanoTime();
  private volatile Runnable call = () -> {};
  private volatile Image image; // null until asked for again after a restart, and at the end

  // All guarded by this.
  private final FillMap map;
  private CompletableFuture<Void> whole = new CompletableFuture<>();
  private FillStart start; // null before it begins
  private Throwable failure; // the last, unless something has come since
  private long bytesDone;
  private long bytesCopied;
  private StoreException damage;
  private boolean closed;

  private ImageFill(CacheLayout layout, FillFiles files, ImageSettings.Pace pace) {
    this.layout = layout;
    this.key = files.key();
    this.files = files;
    this.pace = pace;
    this.map = files.map();
    BitSet missing = map.missing();
    bytesDone = map.bytes() - missing.stream().mapToLong(map::length).sum();
    order = new FillOrder(missing, pace.restNanos(map.bytes() / map.chunks()), System::nanoTime);
    order.want(0); // a mount begins there
    readers = new FillReaders(files, order, pace.waitSeconds(), () -> call.run());
  }

  /** Makes the files of a fill of which nothing is there yet. */
  static ImageFill begin(CacheLayout layout, Image image, ImageSettings.Pace pace)
      throws IOException {
    ImageFill fill = of(layout, FillFiles.create(layout, image), pace);
    fill.image = image;
    return fill;
  }

  /** Takes up what an earlier launcher was filling: its image server lives and is asking. */
  static ImageFill resume(CacheLayout layout, ImageKey key, ImageSettings.Pace pace)
      throws IOException, StoreException {
    FillFiles files = FillFiles.open(layout, key);
    try {
      ImageFill fill = of(layout, files, pace);
      fill.begun.complete(null);
      fill.readers.answerAll();
      return fill;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      files.close();
      throw e;
    }
  }

  private static ImageFill of(CacheLayout layout, FillFiles files, ImageSettings.Pace pace) {
    try {
      return new ImageFill(layout, files, pace);
    } catch (RuntimeException | OutOfMemoryError e) {
      files.close();
      throw e;
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

  /** How what is there has come. */
  synchronized Bytes here() {
    return new Bytes(bytesDone - bytesCopied, bytesCopied, 0);
  }

  ImagesStatus.Filling status() {
    StoreException trouble = trouble();
    return new ImagesStatus.Filling(
        key, bytes(), bytesMissing(), trouble == null ? "" : trouble.getMessage());
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

  /** Starts a user's image server on the image, whole or not, and answers it from then on. */
  Program serve(long uid, ImageMounts.ServerStart start) throws Abort, InterruptedException {
    return files.serve(
        uid, start, (file, filling) -> serveFilling(uid, start, file, filling), pace.waitSeconds());
  }

  private Program serveFilling(
      long uid, ImageMounts.ServerStart start, Path file, List<String> filling)
      throws Abort, InterruptedException {
    Program server = start.with(file, filling);
    try {
      readers.answer(uid);
      return server;
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      server.handle().destroyForcibly();
      throw new Abort(ExitCode.INTERNAL, "cannot open the FIFOs of an image: " + e.getMessage(), e);
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
    files.write(offset, content);
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
    key.on(Event.CHUNK_LOST, log)
        .addKeyValue("chunk", chunk)
        .addKeyValue("cause", cause.getMessage())
        .log();
    damage = cause;
    try {
      settle(chunk, GIVEN_UP);
    } catch (IOException e) {
      key.on(Event.MAP_UNWRITABLE, log).setCause(e).log();
    }
  }

  private static boolean isDamage(Throwable cause) {
    return cause instanceof StoreException failure && failure.kind() == StoreException.Kind.CORRUPT;
  }

  private void settle(int chunk, FillMap.State state) throws IOException {
    map.set(chunk, state);
    order.settled(chunk);
    readers.settled(chunk);
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
      endStart();
    }
  }

  private boolean fill(Stores stores, BooleanSupplier needed, Supplier<List<ImageKey>> others)
      throws InterruptedException {
    while (true) {
      try {
        ImageStore store = stores.get();
        if (image == null) {
          image = store.reload(files.source());
        }
        beginOnce(store, others);
        order.beginAnew();
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
          key.on(Event.FILL_WAITS, log).addKeyValue("cause", cause).log();
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

  private synchronized void beginOnce(ImageStore store, Supplier<List<ImageKey>> others) {
    if (start == null) {
      start = new FillStart(layout, store, image, others, order, this::copied, () -> call.run());
    }
  }

  private void endStart() {
    FillStart running;
    synchronized (this) {
      running = start;
    }
    if (running != null) {
      running.stop();
    }
  }

  private void copied(int chunk, ByteBuffer content) throws IOException {
    store(chunk, content);
    synchronized (this) {
      bytesCopied += map.length(chunk);
    }
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
    files.force(image.manifest());
    return true;
  }

  /** Makes the complete image one of the cache. */
  synchronized void publish() throws IOException {
    files.publish();
  }

  /** Tells all who wait that the image has been published. */
  synchronized void announce() {
    readers.ring();
    whole.complete(null);
    key.on(Event.FETCHED, log)
        .addKeyValue("image", files.source().unpinned())
        .addKeyValue("bytes", bytes())
        .addKeyValue("copied", bytesCopied)
        .addKeyValue("millis", (System.nanoTime() - createdNanos) / 1_000_000)
        .log();
  }

  /** To be called when the image was published: sees the start to its end, and ends the fill. */
  void recordStart(Stores stores) throws InterruptedException {
    try {
      readers.recordStart(stores, image);
    } catch (StoreException | RuntimeException e) {
      key.on(Event.START_NOT_RECORDED, log).addKeyValue("cause", e.getMessage()).log();
    } finally {
      end();
    }
  }

  /** Ends an unfinished fill and removes its files. */
  void discard() {
    end();
    FillFiles.delete(layout, key);
  }

  private void end() {
    synchronized (this) {
      closed = true;
      readers.close();
      files.close();
    }
    call.run();
    call = () -> {};
    image = null;
  }
}
