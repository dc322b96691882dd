package org.layercake.store;

import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static org.layercake.store.ObjectStore.Copy.PREFERRED;
import static org.layercake.store.ObjectStore.Copy.PRIMARY;
import static org.layercake.store.ObjectStore.Copy.RANDOM;
import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

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

  /** Of three copies, one of them good, all of these miss the good one in 0.8 % of cases. */
  private static final int RANDOM_TRIES = 12;

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

  /**
   * What the fetches of a process share.
   *
   * @param threads as many as it takes: each read in flight has one, and a buffer
   * @param verifying bounds the processors used at once
   */
  record Means(
      ObjectStore store, BufferPool buffers, ExecutorService threads, Semaphore verifying) {}

  /** Not a record: those are compared by content. */
  private static final class Read {
    final int place;
    final Manifest.Chunk chunk;
    final ByteBuffer buffer;
    final Window.Start start;
    final ObjectStore.PendingRead pending;

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
    } catch (StoreException | RuntimeException | Error e) {
      fail(e);
    }
    // Nobody may write to a pooled buffer, or hear of a chunk, once this has returned.
    inFlight.forEach(read -> read.pending.cancel());
    unfinished.acquireUninterruptibly(Integer.MAX_VALUE);
    throwFailure();
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
    int reading = inFlight.size();
    if (reading == 0) {
      return means.buffers.take();
    }
    return reading < window.size() ? means.buffers.poll() : null;
  }

  private Filler.Next beginNext(ByteBuffer buffer) throws StoreException {
    boolean begun = false;
    try {
      Filler.Next next = filler.next(inFlight.size());
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
    } catch (OutOfMemoryError e) {
      finish(read); // the user or the cgroup may have no more threads: slower, but it goes on
    }
  }

  private ObjectStore.PendingRead startRead(
      Manifest.Chunk chunk, ByteBuffer buffer, ObjectStore.Copy copy) throws StoreException {
    return means.store.startRead(
        image.domain(), ImageStore.chunkObject(chunk.digest()), buffer, copy);
  }

  private void finish(Read read) {
    try {
      int count = await(read);
      means.verifying.acquireUninterruptibly();
      try {
        if (failure.get() == null) {
          verify(read, count);
          filler.store(read.place, read.buffer.position(0));
        }
      } finally {
        means.verifying.release();
      }
    } catch (StoreException e) {
      giveUp(read, e);
    } catch (IOException | RuntimeException | Error e) {
      fail(e);
    } finally {
      means.buffers.giveBack(read.buffer);
      unfinished.release();
      news.release();
    }
  }

  private int await(Read read) throws StoreException {
    try {
      int count = count(read.pending);
      window.end(read.start, read.chunk.length(), System.nanoTime());
      return count;
    } finally {
      inFlight.remove(read);
      news.release();
    }
  }

  /** What the store itself finds corrupt is like what comes and does not match. */
  private int count(ObjectStore.PendingRead pending) throws StoreException {
    try {
      return pending.await();
    } catch (StoreException e) {
      if (e.kind() != CORRUPT) {
        throw e;
      }
      LOG.warn("domain={} event=unreadable-copy cause={}", image.domain(), e.getMessage());
      return UNREADABLE;
    }
  }

  private void giveUp(Read read, StoreException cause) {
    if (failure.get() != null) {
      return;
    }
    try {
      filler.failed(read.place, cause.kind() == NOT_FOUND ? missing(cause) : cause);
    } catch (StoreException | RuntimeException e) {
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

  /** One copy may be bad where another is good: the primary's is asked for next, then any. */
  private void verify(Read read, int count) throws StoreException {
    if (matches(read, count)) {
      return;
    }
    warn(read, "event=corrupt-copy next=primary");
    if (matches(read, count(startRead(read.chunk, read.buffer, PRIMARY)))) {
      return;
    }
    if (means.store.readsReplicas()) {
      warn(read, "event=corrupt-primary next=replicas");
      for (int i = 0; i < RANDOM_TRIES; i++) {
        if (matches(read, count(startRead(read.chunk, read.buffer, RANDOM)))) {
          warn(read, "event=good-replica next=repair-the-pool");
          return;
        }
      }
    }
    throw new StoreException(
        CORRUPT,
        "cannot fetch image "
            + image.name()
            + ": chunk "
            + ImageStore.chunkObject(read.chunk.digest())
            + " of domain "
            + image.domain()
            + " is corrupt (push the image again with --repair)");
  }

  private void warn(Read read, String event) {
    LOG.warn(
        "domain={} object={} {}",
        image.domain(),
        ImageStore.chunkObject(read.chunk.digest()),
        event);
  }

  private static boolean matches(Read read, int count) {
    return count == read.chunk.length()
        && Digest.of(read.buffer.position(0)).equals(read.chunk.digest());
  }

  private void fail(Throwable cause) {
    failure.compareAndSet(null, cause);
  }

  private void throwFailure() throws StoreException, IOException {
    Throwable cause = failure.get();
    if (cause instanceof StoreException store) {
      throw store;
    } else if (cause instanceof IOException io) {
      throw io;
    } else if (cause instanceof RuntimeException runtime) {
      throw runtime;
    } else if (cause instanceof Error error) {
      throw error;
    }
  }
}
