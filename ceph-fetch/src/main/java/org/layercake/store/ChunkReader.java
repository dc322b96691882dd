package org.layercake.store;

import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static org.layercake.store.ObjectStore.Copy.PREFERRED;
import static org.layercake.store.ObjectStore.Copy.PRIMARY;
import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.spi.LoggingEventBuilder;

/**
 * Reads an image's chunks: the calling thread keeps a {@link Window} of reads in flight; for each,
 * a thread waits in the store, verifies what came and hands it on. One object per fetch.
 *
 * <p>A thread that waits in librados is woken when the read is done. So nobody has to look again
 * and again, and none of librados's own threads has to come into the JVM.
 */
final class ChunkReader {
  /** A filler that limits its rate by the clock has nobody to call. */
  private static final long ASK_AGAIN_MILLIS = 100;

  /**
   * Of an image with so many chunks lost for good, further replicas are not looked for: it takes
   * long, and an image may be damaged on purpose.
   */
  private static final int MOST_LOST = 16;

  private static final int UNREADABLE = -1;

  private static final Logger LOG = LoggerFactory.getLogger(ChunkReader.class);

  private final Means means;
  private final Image image;
  private final Filler filler;

  private final Window window = new Window();
  private final Set<Read> inFlight = ConcurrentHashMap.newKeySet();
  private final Semaphore news = new Semaphore(0);
  private final AtomicReference<Throwable> failure = new AtomicReference<>();
  private final Semaphore unfinished = new Semaphore(Integer.MAX_VALUE);
  private final AtomicInteger readingAgain = new AtomicInteger();
  private final AtomicInteger lost = new AtomicInteger();

  /**
   * What the fetches of a process share.
   *
   * @param threads as many as it takes: each read in flight has one, and a buffer
   * @param verifying bounds the processors used at once; nobody waits for a store with a permit
   * @param again bounds how many chunks are read again at once, which may take minutes
   */
  record Means(
      ObjectStore store,
      BufferPool buffers,
      ExecutorService threads,
      Semaphore verifying,
      Semaphore again) {}

  /** Not a record: those are compared by content. */
  private static final class Read {
    final int place;
    final Manifest.Chunk chunk;
    final ByteBuffer buffer;
    final Window.Start start;
    final ObjectStore.PendingRead pending;

    /** What a copy that has no such object has led to; of the thread that finishes the read. */
    StoreException missing;

    /** Whether a copy has the object, though not as it should be. */
    boolean hasBadCopy;

    Read(
        int place,
        Manifest.Chunk chunk,
        ByteBuffer buffer,
        Window.Start start,
        ObjectStore.PendingRead pending) {
      this.place = place;
      this.chunk = chunk;
      this.buffer = buffer;
      this.start = start;
      this.pending = pending;
    }
  }

  ChunkReader(Means means, Image image, Filler filler) {
    this.means = means;
    this.image = image;
    this.filler = filler;
  }

  void run() throws StoreException, IOException {
    try {
      filler.begin(news::release);
      readAll();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      fail(new InterruptedIOException("fetch of " + image.name() + " interrupted"));
    } catch (Throwable e) {
      fail(e);
    }
    // Nobody may write to a pooled buffer, or hear of a chunk, once this has returned.
    inFlight.forEach(read -> read.pending.cancel());
    unfinished.acquireUninterruptibly(Integer.MAX_VALUE);
    StoreException.rethrow(failure.get());
  }

  private void readAll() throws InterruptedException, StoreException {
    boolean more = true;
    while (failure.get() == null && (more || !inFlight.isEmpty())) {
      if (more) {
        more = beginOrWait();
      } else {
        news.acquire();
      }
      news.drainPermits(); // before looking at what they tell of, so that none is lost
    }
  }

  /** Begins a read, or waits until that may be possible; false when the filler has no more. */
  private boolean beginOrWait() throws InterruptedException, StoreException {
    ByteBuffer buffer = room();
    if (buffer == null) {
      news.acquire();
      return true;
    }
    Filler.Next next = beginNext(buffer);
    if (next == Filler.Nothing.YET) {
      news.tryAcquire(ASK_AGAIN_MILLIS, MILLISECONDS);
    }
    return next != Filler.Nothing.MORE;
  }

  /** A buffer for one more read, or null if there must be no more now. */
  private ByteBuffer room() throws InterruptedException {
    int reading = reading();
    if (reading == 0) {
      return means.buffers.take();
    }
    return reading < window.size() ? means.buffers.poll() : null;
  }

  private int reading() {
    return inFlight.size() + readingAgain.get();
  }

  private Filler.Next beginNext(ByteBuffer buffer) throws StoreException {
    boolean begun = false;
    try {
      Filler.Next next = filler.next(reading());
      if (next instanceof Filler.Chunk named) {
        begin(named.place(), buffer);
        begun = true;
      }
      return next;
    } finally {
      if (!begun) {
        means.buffers.giveBack(buffer);
      }
    }
  }

  private void begin(int place, ByteBuffer buffer) throws StoreException {
    Manifest.Chunk chunk = image.manifest().chunks().get(place);
    buffer.limit(chunk.length());
    Window.Start start = window.start(inFlight.size() + 1, System.nanoTime());
    Read read = new Read(place, chunk, buffer, start, startRead(chunk, buffer, PREFERRED));
    inFlight.add(read);
    unfinished.acquireUninterruptibly();
    try {
      means.threads.execute(() -> finish(read));
    } catch (Throwable e) {
      finish(read); // the user or the cgroup may have no more threads: slower, but it goes on
    }
  }

  private ObjectStore.PendingRead startRead(
      Manifest.Chunk chunk, ByteBuffer buffer, ObjectStore.Copy copy) throws StoreException {
    return means.store.startRead(image.domain(), ObjectNames.chunk(chunk.digest()), buffer, copy);
  }

  private void finish(Read read) {
    ByteBuffer buffer = read.buffer;
    try {
      int count = await(read);
      if (failure.get() == null && !storeIfRight(read, buffer, count)) {
        readingAgain.incrementAndGet();
        try {
          // Others need the buffer more: this may wait for long.
          means.buffers.giveBack(buffer);
          buffer = null;
          readAgain(read);
        } finally {
          readingAgain.decrementAndGet();
        }
      }
    } catch (StoreException e) {
      giveUp(read, e);
    } catch (Throwable e) {
      fail(e);
    } finally {
      if (buffer != null) {
        means.buffers.giveBack(buffer);
      }
      unfinished.release();
      news.release();
    }
  }

  /** Hands a chunk on if it is what it should be. */
  private boolean storeIfRight(Read read, ByteBuffer buffer, int count) throws IOException {
    means.verifying.acquireUninterruptibly();
    try {
      boolean right = matches(read, buffer, count);
      if (right && failure.get() == null) {
        filler.store(read.place, buffer.position(0));
      }
      return right;
    } finally {
      means.verifying.release();
    }
  }

  private void readAgain(Read read) throws StoreException, IOException, InterruptedException {
    means.again.acquire();
    try {
      ByteBuffer buffer = means.buffers.take();
      try {
        if (failure.get() == null) {
          readAgain(read, buffer.limit(read.chunk.length()));
        }
      } finally {
        means.buffers.giveBack(buffer);
      }
    } finally {
      means.again.release();
    }
  }

  private int await(Read read) throws StoreException {
    try {
      int count = count(read, read.pending);
      window.end(read.start, read.chunk.length(), System.nanoTime());
      return count;
    } finally {
      inFlight.remove(read);
      news.release();
    }
  }

  /** What a copy lacks, or the store itself finds corrupt, is like what does not match. */
  private int count(Read read, ObjectStore.PendingRead pending) throws StoreException {
    try {
      int count = pending.await();
      read.hasBadCopy = true; // of a good one nobody asks
      return count;
    } catch (StoreException e) {
      if (e.kind() == CORRUPT) {
        line(StoreEvent.UNREADABLE_COPY).addKeyValue("cause", e.getMessage()).log();
        read.hasBadCopy = true;
      } else if (e.kind() == NOT_FOUND && means.store.readsReplicas()) {
        read.missing = e;
      } else {
        throw e;
      }
      return UNREADABLE;
    }
  }

  private void giveUp(Read read, StoreException cause) {
    if (failure.get() != null) {
      return;
    }
    try {
      filler.failed(read.place, cause.kind() == NOT_FOUND ? missing(cause) : cause);
    } catch (Throwable e) {
      fail(e);
    }
  }

  private StoreException missing(StoreException cause) {
    return new StoreException(
        CORRUPT,
        "cannot fetch image "
            + image.name()
            + ": a chunk is missing (push the image again): "
            + cause.getMessage(),
        cause);
  }

  /** One copy may be bad where another is good: the primary one is asked for, then each other. */
  private void readAgain(Read read, ByteBuffer buffer) throws StoreException, IOException {
    warn(read.hasBadCopy ? StoreEvent.CORRUPT_COPY : StoreEvent.NO_COPY, read);
    if (storeIfRight(read, buffer, count(read, startRead(read.chunk, buffer, PRIMARY)))) {
      return;
    }
    if (means.store.readsReplicas() && lost.get() < MOST_LOST) {
      warn(read.hasBadCopy ? StoreEvent.CORRUPT_PRIMARY : StoreEvent.NO_COPY, read);
      if (readReplicas(read, buffer)) {
        warn(StoreEvent.GOOD_REPLICA, read);
        return;
      }
    }
    lost.incrementAndGet();
    if (!read.hasBadCopy) {
      throw read.missing; // by all copies
    }
    throw new StoreException(
        CORRUPT,
        "cannot fetch image "
            + image.name()
            + ": chunk "
            + ObjectNames.chunk(read.chunk.digest())
            + " of domain "
            + image.domain()
            + " is corrupt (push the image again with --repair)");
  }

  private boolean readReplicas(Read read, ByteBuffer buffer) throws StoreException, IOException {
    String object = ObjectNames.chunk(read.chunk.digest());
    boolean found =
        means.store.readReplicas(
            image.domain(), object, buffer, count -> isRight(read, buffer, count));
    if (found && failure.get() == null) {
      filler.store(read.place, buffer.position(0));
    }
    return found;
  }

  private boolean isRight(Read read, ByteBuffer buffer, int count) {
    if (failure.get() != null) {
      throw new CancellationException("the fetch has ended");
    }
    read.hasBadCopy = true;
    means.verifying.acquireUninterruptibly();
    try {
      return matches(read, buffer, count);
    } finally {
      means.verifying.release();
    }
  }

  private void warn(StoreEvent event, Read read) {
    line(event).addKeyValue("object", ObjectNames.chunk(read.chunk.digest())).log();
  }

  private LoggingEventBuilder line(StoreEvent event) {
    return event
        .on(LOG)
        .addKeyValue("image", image.name())
        .addKeyValue("domain", image.domain())
        .addKeyValue("digest", image.digest());
  }

  private static boolean matches(Read read, ByteBuffer buffer, int count) {
    return count == read.chunk.length()
        && Digest.of(buffer.position(0)).equals(read.chunk.digest());
  }

  private void fail(Throwable cause) {
    failure.compareAndSet(null, cause);
  }
}
