package org.layercake.launcher;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.TRUNCATE_EXISTING;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.layercake.launcher.FillMap.State.GIVEN_UP;
import static org.layercake.launcher.FillMap.State.PRESENT;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedChannelException;
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
import org.layercake.store.Digest;
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

  private static final int RECORD_BYTES = 8;
  private static final int URGENT = 0;
  private static final int LIKELY = 1;
  private static final int TOUCHED = 2;
  private static final int LOST = 3;
  private static final long RETRY_MILLIS = 2000;

  /**
   * How images are filled.
   *
   * @param restBytesPerSecond the most that is fetched of what nobody waits for
   * @param waitSeconds how long a reader waits for one chunk before it gets an I/O error
   */
  record Pace(long restBytesPerSecond, int waitSeconds) {
    long restNanos(long bytes) {
      return Math.multiplyExact(bytes, 1_000_000_000L) / restBytesPerSecond;
    }
  }

  /** Where the store is; it may have to be connected first. */
  interface Stores {
    ImageStore get() throws StoreException;
  }

  private final CacheLayout layout;
  private final Digest digest;
  private final ImageName source;
  private final Pace pace;
  private final FileChannel file;
  private final CompletableFuture<Void> begun = new CompletableFuture<>();
  private final List<FetchListener> listeners = new CopyOnWriteArrayList<>();
  private final Object place = new Object();
  private final long createdNanos = System.nanoTime();
  private final StartRecord startRecord = new StartRecord();
  private volatile Runnable call = () -> {};
  private volatile Image image; // null until it was asked for again after a restart

  // All guarded by this.
  private final FillMap map;
  private final FillOrder order;
  private final BitSet asked = new BitSet();
  private final BitSet lost = new BitSet();
  private CompletableFuture<Void> whole = new CompletableFuture<>();
  private CompletableFuture<Void> seeded; // null before it begins
  private boolean seeding;
  private Exception failure;
  private long bytesDone;
  private long bytesCopied;
  private StoreException damage;
  private boolean closed;
  private FileChannel wanted;
  private FileChannel arrived;

  private ImageFill(
      CacheLayout layout,
      Digest digest,
      ImageName source,
      Pace pace,
      FillMap map,
      FileChannel file) {
    this.layout = layout;
    this.digest = digest;
    this.source = source;
    this.pace = pace;
    this.map = map;
    this.file = file;
    BitSet missing = map.missing();
    bytesDone = map.bytes() - missing.stream().mapToLong(map::length).sum();
    order = new FillOrder(missing, pace.restNanos(map.bytes() / map.chunks()), System::nanoTime);
    order.want(0); // whoever mounts begins there
  }

  /** Makes the files of a fill of which nothing is there yet. */
  static ImageFill begin(CacheLayout layout, Image image, Pace pace) throws IOException {
    Digest digest = image.digest();
    Files.deleteIfExists(layout.fillWanted(digest));
    Files.deleteIfExists(layout.fillArrived(digest));
    FileChannel file =
        FileChannel.open(layout.staging(digest), CREATE, TRUNCATE_EXISTING, READ, WRITE);
    file.write(ByteBuffer.allocate(1), image.manifest().size() - 1);
    FillMap map = FillMap.create(layout.fillMap(digest), image.manifest().chunks());
    Files.writeString(layout.fillSource(digest), image.pinned().toString());
    ImageFill fill = new ImageFill(layout, digest, image.pinned(), pace, map, file);
    fill.image = image;
    return fill;
  }

  /** Takes up what an earlier launcher was filling: its image server lives and is asking. */
  static ImageFill resume(CacheLayout layout, Digest digest, Pace pace)
      throws IOException, StoreException {
    ImageName source = ImageName.parse(Files.readString(layout.fillSource(digest)));
    FillMap map = FillMap.open(layout.fillMap(digest));
    FileChannel file = FileChannel.open(layout.staging(digest), READ, WRITE);
    ImageFill fill = new ImageFill(layout, digest, source, pace, map, file);
    fill.begun.complete(null);
    fill.answerReaders();
    return fill;
  }

  Digest digest() {
    return digest;
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

  /** Starts an image server on the files as they are, and answers it from then on. */
  Program serve(ImageMounts.ServerStart start) throws Abort, InterruptedException {
    synchronized (place) {
      if (Files.exists(layout.image(digest))) {
        return start.with(layout.image(digest), List.of());
      }
      Program server =
          start.with(
              layout.staging(digest),
              List.of(
                  layout.fillMap(digest).toString(),
                  layout.fillWanted(digest).toString(),
                  layout.fillArrived(digest).toString(),
                  Integer.toString(pace.waitSeconds())));
      try {
        answerReaders();
      } catch (IOException e) {
        server.handle().destroyForcibly();
        throw new Abort(Abort.INTERNAL, "cannot open the FIFOs of an image: " + e.getMessage(), e);
      }
      return server;
    }
  }

  private synchronized void answerReaders() throws IOException {
    if (wanted == null) {
      FileChannel requests = FileChannel.open(layout.fillWanted(digest), READ, WRITE);
      wanted = requests;
      arrived = FileChannel.open(layout.fillArrived(digest), READ, WRITE);
      inBackground("wanted", () -> hear(requests));
    }
  }

  /** Reads what the image server asks for, until the fill is closed. */
  private void hear(FileChannel requests) {
    ByteBuffer records = ByteBuffer.allocate(512 * RECORD_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    try {
      while (requests.read(records) >= 0) {
        records.flip();
        while (records.remaining() >= RECORD_BYTES) {
          heard(records.getInt(), records.getInt());
        }
        records.compact();
      }
    } catch (ClosedChannelException e) {
      // The fill has ended.
    } catch (IOException e) {
      log.warn("event=wanted-unreadable digest={}", digest, e);
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
              "event=read-failed digest={} chunk={} seconds={}", digest, chunk, pace.waitSeconds());
        }
      }
      default -> log.debug("event=unknown-word digest={} word={}", digest, what);
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
    log.error("event=chunk-lost digest={} chunk={} cause={}", digest, chunk, cause.getMessage());
    damage = cause;
    try {
      settle(chunk, GIVEN_UP);
    } catch (IOException e) {
      log.warn("event=map-unwritable digest={}", digest, e);
    }
  }

  private static boolean isDamage(Exception cause) {
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
    try {
      if (arrived != null) {
        arrived.write(ByteBuffer.wrap(new byte[1]));
      }
    } catch (IOException e) {
      log.warn("event=arrived-unwritable digest={}", digest, e);
    }
  }

  /**
   * Fills until all is there, or nobody wants it any more.
   *
   * @param needed whether a job has the image
   * @param others complete images of the node, in which chunks of this one may be
   * @return whether the image is complete, and to be published
   */
  boolean run(Stores stores, BooleanSupplier needed, Supplier<List<Digest>> others)
      throws InterruptedException {
    try {
      return fill(stores, needed, others);
    } finally {
      endSeeding();
    }
  }

  private boolean fill(Stores stores, BooleanSupplier needed, Supplier<List<Digest>> others)
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
      } catch (StoreException | IOException | RuntimeException e) {
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
        failWhole(e);
        if (begun.completeExceptionally(e) || !needed.getAsBoolean() || isClosed()) {
          return false;
        }
        // A chunk that was lost before anything was there is given up in the next run, at once.
        if (image == null || !isDamage(e)) {
          String cause = String.valueOf(e.getMessage());
          log.warn("event=fill-waits digest={} cause={}", digest, cause);
          listeners.forEach(listener -> listener.waits(cause));
          Thread.sleep(RETRY_MILLIS);
        }
      }
    }
  }

  /** Those who wait for all of it hear of a failure; those who read wait for better times. */
  synchronized void failWhole(Exception cause) {
    failure = cause;
    whole.completeExceptionally(cause);
    whole = new CompletableFuture<>();
  }

  /** To be called when it is not run any more: nobody is to wait for all of it, now or later. */
  synchronized void giveUp() {
    whole.completeExceptionally(failure == null ? new IOException("the fetch ended") : failure);
  }

  /** Finds out, beside the first reads, what will be read first and what is on the node already. */
  private synchronized void seed(ImageStore store, Supplier<List<Digest>> others) {
    if (seeded == null) {
      seeding = true;
      seeded =
          CompletableFuture.runAsync(
              () -> {
                expect(store);
                copy(others);
              },
              task -> inBackground("seed", task));
    }
  }

  private static void inBackground(String name, Runnable task) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    thread.start();
  }

  /** The store may be closed after a run, and then must not be in use. */
  private void endSeeding() {
    CompletableFuture<Void> running;
    synchronized (this) {
      seeding = false;
      running = seeded;
    }
    if (running != null) {
      running.join();
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
      log.info("event=no-start-profile digest={} cause={}", digest, e.getMessage());
    }
  }

  private void copy(Supplier<List<Digest>> others) {
    try (Seeds seeds = Seeds.find(layout, image.manifest(), others.get())) {
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
      log.warn("event=copy-failed digest={} cause={}", digest, e.getMessage());
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
    Files.write(layout.manifest(digest), image.manifest().bytes());
    return true;
  }

  /** Makes the complete image one of the cache. */
  void publish() throws IOException {
    synchronized (place) {
      Files.move(layout.staging(digest), layout.image(digest), StandardCopyOption.ATOMIC_MOVE);
    }
    delete(layout, digest);
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
  void recordStart(Stores stores) throws InterruptedException, IOException {
    try {
      if (hasReaders()) {
        startRecord.awaitEnd();
        startRecord.save(stores.get(), image);
      }
    } catch (StoreException | RuntimeException e) {
      log.info("event=start-not-recorded digest={} cause={}", digest, e.getMessage());
    } finally {
      end();
    }
  }

  private synchronized boolean hasReaders() {
    return wanted != null;
  }

  /** Ends an unfinished fill and removes its files. */
  void discard() throws IOException {
    end();
    delete(layout, digest);
  }

  private void end() throws IOException {
    synchronized (this) {
      closed = true;
      for (Closeable each : new Closeable[] {wanted, arrived, file, map}) {
        if (each != null) {
          each.close();
        }
      }
    }
    call.run();
  }

  /** Removes the files of a fill that nobody goes on with. */
  static void delete(CacheLayout layout, Digest digest) throws IOException {
    for (Path path :
        List.of(
            layout.fillSource(digest),
            layout.fillMap(digest),
            layout.fillWanted(digest),
            layout.fillArrived(digest),
            layout.staging(digest))) {
      Files.deleteIfExists(path);
    }
  }
}
