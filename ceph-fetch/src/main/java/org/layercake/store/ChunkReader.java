package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.OptionalInt;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads an image's chunks: a window of reads in flight, driven by the calling thread; finished ones
 * are verified and handed on by workers. One object per fetch.
 */
final class ChunkReader {
  /** At 1 MiB a chunk, enough for 100 Gbit/s at 1 ms, and no more than an OSD has to queue. */
  static final int WINDOW = 16;

  /** Reads end about once in 0.5 ms at 2 GB/s; polling needs no callback into the JVM. */
  private static final long POLL_NANOS = 50_000;

  private static final Logger LOG = LoggerFactory.getLogger(ChunkReader.class);

  private final ObjectStore store;
  private final BufferPool buffers;
  private final ExecutorService workers;
  private final Image image;
  private final Filler filler;

  private final Deque<Read> inFlight = new ArrayDeque<>();
  private final AtomicReference<Exception> failure = new AtomicReference<>();
  private final Semaphore handingOn = new Semaphore(Integer.MAX_VALUE);

  private record Read(
      int index, Manifest.Chunk chunk, ByteBuffer buffer, ObjectStore.PendingRead pending) {}

  ChunkReader(
      ObjectStore store, BufferPool buffers, ExecutorService workers, Image image, Filler filler) {
    this.store = store;
    this.buffers = buffers;
    this.workers = workers;
    this.image = image;
    this.filler = filler;
  }

  void run() throws StoreException, IOException {
    try {
      readAll();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("fetch of " + image.name() + " interrupted");
    } finally {
      // Nobody may write to a pooled buffer, or hear of a chunk, once this has returned.
      abandonReads();
      handingOn.acquireUninterruptibly(Integer.MAX_VALUE);
    }
    throwFailure();
  }

  private void readAll() throws InterruptedException, StoreException {
    while (failure.get() == null) {
      fillWindow();
      if (inFlight.isEmpty()) {
        return;
      }
      Read done = takeDone();
      if (done != null) {
        handingOn.acquire();
        workers.execute(() -> finish(done));
      } else if (Thread.interrupted()) {
        throw new InterruptedException();
      } else {
        LockSupport.parkNanos(POLL_NANOS);
      }
    }
  }

  private void fillWindow() throws InterruptedException, StoreException {
    while (inFlight.size() < WINDOW) {
      ByteBuffer buffer = inFlight.isEmpty() ? buffers.take() : buffers.poll();
      if (buffer == null) {
        return;
      }
      boolean started = false;
      try {
        OptionalInt next = filler.next(inFlight.size());
        if (next.isEmpty()) {
          return;
        }
        Manifest.Chunk chunk = image.manifest().chunks().get(next.getAsInt());
        buffer.limit(chunk.length());
        String object = ImageStore.chunkObject(chunk.digest());
        ObjectStore.PendingRead read = store.startRead(image.domain(), object, buffer, false);
        inFlight.add(new Read(next.getAsInt(), chunk, buffer, read));
        started = true;
      } finally {
        if (!started) {
          buffers.giveBack(buffer);
        }
      }
    }
  }

  /** Takes a finished read out of the window, the oldest first; null if there is none. */
  private Read takeDone() {
    for (Iterator<Read> reads = inFlight.iterator(); reads.hasNext(); ) {
      Read read = reads.next();
      if (read.pending().isDone()) {
        reads.remove();
        return read;
      }
    }
    return null;
  }

  private void finish(Read read) {
    try {
      int count = read.pending().await();
      if (failure.get() == null) {
        verify(read, count);
        filler.store(read.index(), read.buffer().position(0));
      }
    } catch (StoreException e) {
      giveUp(read, e);
    } catch (IOException | RuntimeException e) {
      failure.compareAndSet(null, e);
    } finally {
      buffers.giveBack(read.buffer());
      handingOn.release();
    }
  }

  private void giveUp(Read read, StoreException cause) {
    try {
      filler.failed(read.index(), cause.kind() == NOT_FOUND ? missing(cause) : cause);
    } catch (StoreException | RuntimeException e) {
      failure.compareAndSet(null, e);
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

  /** A replica may be bad where the primary is good: what is wrong is read once more from there. */
  private void verify(Read read, int count) throws StoreException {
    if (matches(read, count)) {
      return;
    }
    String object = ImageStore.chunkObject(read.chunk().digest());
    LOG.warn("domain={} object={} event=corrupt-read next=primary", image.domain(), object);
    int again = store.startRead(image.domain(), object, read.buffer(), true).await();
    if (!matches(read, again)) {
      throw new StoreException(
          CORRUPT,
          "cannot fetch image "
              + image.name()
              + ": chunk "
              + object
              + " of domain "
              + image.domain()
              + " is corrupt (push the image again with --repair)");
    }
  }

  private static boolean matches(Read read, int count) {
    return count == read.chunk().length()
        && Digest.of(read.buffer().position(0)).equals(read.chunk().digest());
  }

  private void abandonReads() {
    inFlight.forEach(read -> read.pending().cancel());
    for (Read read : inFlight) {
      try {
        read.pending().await();
      } catch (StoreException e) {
        failure.compareAndSet(null, e);
      }
      buffers.giveBack(read.buffer());
    }
    inFlight.clear();
  }

  private void throwFailure() throws StoreException, IOException {
    Exception e = failure.get();
    if (e instanceof StoreException store) {
      throw store;
    } else if (e instanceof IOException io) {
      throw io;
    } else if (e instanceof RuntimeException runtime) {
      throw runtime;
    }
  }
}
