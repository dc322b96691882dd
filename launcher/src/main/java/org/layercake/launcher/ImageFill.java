package org.layercake.launcher;

import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.TRUNCATE_EXISTING;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
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

  /** How long a reader waits for one chunk before it gets an I/O error. */
  static final int LIMIT_SECONDS = 600;

  private static final byte[] MAGIC = {'L', 'C', 'K', 'M', 'A', 'P', 0, 1};
  private static final int HEADER_BYTES = 24;
  private static final int MAX_CHUNKS = 1 << 20;
  private static final int RECORD_BYTES = 8;
  private static final byte ABSENT = 0;
  private static final byte PRESENT = 1;
  private static final byte GIVEN_UP = 2;

  /** While somebody waits, so few others are in the way. */
  private static final int OTHERS_WHILE_WAITED_FOR = 2;

  /** Who got a chunk will likely want another before long. */
  private static final long LIKELY_BACK_NANOS = 200_000_000;

  private static final long RETRY_MILLIS = 2000;

  /** Where the store is; it may have to be connected first. */
  interface Stores {
    ImageStore get() throws StoreException;
  }

  private final CacheLayout layout;
  private final Digest digest;
  private final ImageName source;
  private final long[] ends;
  private final FileChannel file;
  private final FileChannel map;
  private final CompletableFuture<Void> begun = new CompletableFuture<>();
  private final List<FetchListener> listeners = new CopyOnWriteArrayList<>();
  private final Object place = new Object();
  private volatile Runnable reader = () -> {};

  // All guarded by this.
  private final byte[] states;
  private final BitSet reading = new BitSet();
  private final BitSet asked = new BitSet();
  private final Set<Integer> urgent = new LinkedHashSet<>();
  private final Set<Integer> likely = new LinkedHashSet<>();
  private Set<Integer> rest = new LinkedHashSet<>();
  private final BitSet waitedFor = new BitSet();
  private long lastWaitNanos = System.nanoTime(); // whoever asked for the image comes soon
  private long bytesDone;
  private StoreException damage;
  private boolean closed;
  private FileChannel wanted;
  private FileChannel arrived;

  private ImageFill(
      CacheLayout layout,
      Digest digest,
      ImageName source,
      long[] ends,
      byte[] states,
      FileChannel file,
      FileChannel map) {
    this.layout = layout;
    this.digest = digest;
    this.source = source;
    this.ends = ends;
    this.states = states;
    this.file = file;
    this.map = map;
    for (int i = 0; i < states.length; i++) {
      bytesDone += states[i] == PRESENT ? length(i) : 0;
    }
  }

  /** Makes the files of a fill of which nothing is there yet. */
  static ImageFill begin(CacheLayout layout, Image image) throws IOException {
    List<Manifest.Chunk> chunks = image.manifest().chunks();
    long[] ends = new long[chunks.size()];
    for (int i = 0; i < ends.length; i++) {
      ends[i] = chunks.get(i).offset() + chunks.get(i).length();
    }
    Digest digest = image.digest();
    Files.deleteIfExists(layout.fillWanted(digest));
    Files.deleteIfExists(layout.fillArrived(digest));
    FileChannel file =
        FileChannel.open(layout.staging(digest), CREATE, TRUNCATE_EXISTING, READ, WRITE);
    file.write(ByteBuffer.allocate(1), image.manifest().size() - 1);
    FileChannel map =
        FileChannel.open(layout.fillMap(digest), CREATE, TRUNCATE_EXISTING, READ, WRITE);
    map.write(map(ends), 0);
    Files.writeString(layout.fillSource(digest), image.pinned().toString());
    return new ImageFill(layout, digest, image.pinned(), ends, new byte[ends.length], file, map);
  }

  private static ByteBuffer map(long[] ends) {
    ByteBuffer bytes =
        ByteBuffer.allocate(HEADER_BYTES + 9 * ends.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.put(MAGIC).putInt(ends.length).putInt(0).putLong(ends[ends.length - 1]);
    for (long end : ends) {
      bytes.putLong(end);
    }
    return bytes.position(0);
  }

  /** Takes up what an earlier launcher was filling: its image server lives and is asking. */
  static ImageFill resume(CacheLayout layout, Digest digest) throws IOException, StoreException {
    ImageName source = ImageName.parse(Files.readString(layout.fillSource(digest)));
    FileChannel map = FileChannel.open(layout.fillMap(digest), READ, WRITE);
    ByteBuffer bytes =
        ByteBuffer.wrap(Files.readAllBytes(layout.fillMap(digest))).order(ByteOrder.LITTLE_ENDIAN);
    int count = bytes.limit() < HEADER_BYTES ? 0 : bytes.getInt(MAGIC.length);
    if (count < 1 || count > MAX_CHUNKS || bytes.limit() != HEADER_BYTES + 9 * count) {
      throw new IOException("the map of " + digest + " is not whole");
    }
    long[] ends = new long[count];
    bytes.position(HEADER_BYTES);
    for (int i = 0; i < count; i++) {
      ends[i] = bytes.getLong();
    }
    byte[] states = new byte[count];
    bytes.get(states);
    FileChannel file = FileChannel.open(layout.staging(digest), READ, WRITE);
    ImageFill fill = new ImageFill(layout, digest, source, ends, states, file, map);
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

  long bytes() {
    return ends[ends.length - 1];
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
                  Integer.toString(LIMIT_SECONDS)));
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
      Thread thread = new Thread(() -> hear(requests), "wanted");
      thread.setDaemon(true);
      thread.start();
    }
  }

  /** Reads what the image server asks for, until the fill is closed. */
  private void hear(FileChannel requests) {
    ByteBuffer records = ByteBuffer.allocate(512 * RECORD_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    try {
      while (requests.read(records) >= 0) {
        records.flip();
        while (records.remaining() >= RECORD_BYTES) {
          want(records.getInt(), records.getInt());
        }
        records.compact();
      }
    } catch (ClosedChannelException e) {
      // The fill has ended.
    } catch (IOException e) {
      log.warn("event=wanted-unreadable digest={}", digest, e);
    }
  }

  /** The server may be in the hands of a hostile image: what it asks for is bounded by the map. */
  private synchronized void want(int chunk, int urgency) {
    if (chunk < 0 || chunk >= states.length || states[chunk] != ABSENT) {
      return;
    }
    asked.set(chunk);
    if (urgency == 0) {
      waitedFor.set(chunk);
      urgent.add(chunk);
    } else {
      likely.add(chunk);
    }
    reader.run();
  }

  @Override
  public void begin(Runnable call) {
    reader = call;
  }

  @Override
  public synchronized Next next(int inFlight) {
    if (closed) {
      return Nothing.MORE;
    }
    OptionalInt next = poll(urgent);
    if (next.isEmpty()) {
      next = poll(likely);
    }
    if (next.isEmpty() && (inFlight < OTHERS_WHILE_WAITED_FOR || !isWaitedFor())) {
      next = poll(rest);
    }
    if (next.isPresent()) {
      return new Chunk(next.getAsInt());
    }
    return rest.isEmpty() ? Nothing.MORE : Nothing.YET; // all that is absent was among the rest
  }

  private boolean isWaitedFor() {
    return !waitedFor.isEmpty() || System.nanoTime() - lastWaitNanos < LIKELY_BACK_NANOS;
  }

  /** Takes the first of them that is neither there nor being read. */
  private OptionalInt poll(Set<Integer> chunks) {
    for (Iterator<Integer> all = chunks.iterator(); all.hasNext(); ) {
      int chunk = all.next();
      all.remove();
      if (states[chunk] == ABSENT && !reading.get(chunk)) {
        reading.set(chunk);
        return OptionalInt.of(chunk);
      }
    }
    return OptionalInt.empty();
  }

  @Override
  public void store(int chunk, ByteBuffer content) throws IOException {
    for (long offset = ends[chunk] - length(chunk); content.hasRemaining(); ) {
      offset += file.write(content, offset);
    }
    synchronized (this) {
      bytesDone += length(chunk);
      settle(chunk, PRESENT);
      listeners.forEach(listener -> listener.fetched(bytesDone));
    }
    begun.complete(null);
  }

  /** One damaged chunk does not keep the others away; when the store fails the next run tries. */
  @Override
  public synchronized void failed(int chunk, StoreException cause) throws StoreException {
    reading.clear(chunk);
    if (cause.kind() != StoreException.Kind.CORRUPT || !begun.isDone()) {
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

  private void settle(int chunk, byte state) throws IOException {
    long at = HEADER_BYTES + 8L * ends.length + chunk;
    map.write(ByteBuffer.wrap(new byte[] {state}), at);
    states[chunk] = state;
    reading.clear(chunk);
    if (waitedFor.get(chunk)) {
      waitedFor.clear(chunk);
      lastWaitNanos = System.nanoTime();
    }
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

  private long length(int chunk) {
    return ends[chunk] - (chunk == 0 ? 0 : ends[chunk - 1]);
  }

  /**
   * Fills until all is there, or nobody wants it any more. To be called once, in a thread of its
   * own.
   *
   * @param needed whether a job has the image
   * @return whether the image is complete, and published in the cache
   */
  boolean run(Stores stores, BooleanSupplier needed) throws InterruptedException {
    while (true) {
      try {
        ImageStore store = stores.get();
        Image image = store.reload(source);
        beginRun();
        store.fill(image, this);
        return publish();
      } catch (StoreException | IOException | RuntimeException e) {
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
        if (begun.completeExceptionally(e) || !needed.getAsBoolean() || isClosed()) {
          return false;
        }
        log.warn("event=fill-waits digest={} cause={}", digest, e.getMessage());
        Thread.sleep(RETRY_MILLIS);
      }
    }
  }

  /** Thousands of nodes start together: in file order they would all queue at the same OSD. */
  private synchronized void beginRun() {
    List<Integer> absent = new ArrayList<>();
    for (int i = 0; i < states.length; i++) {
      if (states[i] == ABSENT) {
        absent.add(i);
      }
    }
    Collections.shuffle(absent);
    rest = new LinkedHashSet<>(absent);
    reading.clear();
    if (!begun.isDone()) {
      urgent.add(0); // whoever mounts begins there
    }
    asked.stream().forEach(urgent::add); // what was being read when the last run broke off
  }

  private synchronized boolean isClosed() {
    return closed;
  }

  /**
   * False if something could not be had: the image is good for those who run it, as far as it goes.
   */
  private boolean publish() throws IOException {
    if (damage() != null || isClosed()) {
      return false;
    }
    file.force(true);
    synchronized (place) {
      Files.move(layout.staging(digest), layout.image(digest), StandardCopyOption.ATOMIC_MOVE);
    }
    synchronized (this) {
      ring();
    }
    close();
    return true;
  }

  /** Ends the fill and removes its files; a complete image stays. */
  void close() throws IOException {
    synchronized (this) {
      closed = true;
      for (FileChannel channel : new FileChannel[] {wanted, arrived, file, map}) {
        if (channel != null) {
          channel.close();
        }
      }
    }
    delete(layout, digest);
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
