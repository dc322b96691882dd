package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads an image's chunks, into a file or only to verify them: a window of reads in flight, driven
 * by the calling thread; finished ones are verified and written by workers. One object per fetch.
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
  private final List<Manifest.Chunk> chunks;
  private final Optional<FileChannel> target;
  private final FetchListener listener;

  private final Deque<Read> inFlight = new ArrayDeque<>();
  private final AtomicReference<Exception> failure = new AtomicReference<>();
  private final Semaphore writing = new Semaphore(Integer.MAX_VALUE);
  private final Object progressLock = new Object();
  private long bytesDone;

  private record Read(Manifest.Chunk chunk, ByteBuffer buffer, ObjectStore.PendingRead pending) {}

  /**
   * @param chunks those of the image that are to be read; the others count as done
   */
  ChunkReader(
      ObjectStore store,
      BufferPool buffers,
      ExecutorService workers,
      Image image,
      List<Manifest.Chunk> chunks,
      Optional<FileChannel> target,
      FetchListener listener) {
    this.store = store;
    this.buffers = buffers;
    this.workers = workers;
    this.image = image;
    this.chunks = chunks;
    this.bytesDone =
        image.manifest().size() - chunks.stream().mapToLong(Manifest.Chunk::length).sum();
    this.target = target;
    this.listener = listener;
  }

  void run() throws StoreException, IOException {
    try {
      readAll();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("fetch of " + image.name() + " interrupted");
    } finally {
      // Nobody may write to a pooled buffer, or to the caller's file, once this has returned.
      abandonReads();
      writing.acquireUninterruptibly(Integer.MAX_VALUE);
    }
    throwFailure();
  }

  private void readAll() throws InterruptedException, StoreException {
    // Thousands of nodes start together: in file order they would all queue at the same OSD.
    List<Manifest.Chunk> order = new ArrayList<>(chunks);
    Collections.shuffle(order);
    Iterator<Manifest.Chunk> todo = order.iterator();
    while ((todo.hasNext() || !inFlight.isEmpty()) && failure.get() == null) {
      fillWindow(todo);
      Read done = awaitAny();
      writing.acquire();
      workers.execute(() -> finish(done));
    }
  }

  private void fillWindow(Iterator<Manifest.Chunk> todo)
      throws InterruptedException, StoreException {
    while (todo.hasNext() && inFlight.size() < WINDOW) {
      ByteBuffer buffer = inFlight.isEmpty() ? buffers.take() : buffers.poll();
      if (buffer == null) {
        return;
      }
      Manifest.Chunk chunk = todo.next();
      buffer.limit(chunk.length());
      boolean started = false;
      try {
        String object = ImageStore.chunkObject(chunk.digest());
        inFlight.add(
            new Read(chunk, buffer, store.startRead(image.domain(), object, buffer, false)));
        started = true;
      } finally {
        if (!started) {
          buffers.giveBack(buffer);
        }
      }
    }
  }

  /** Takes a finished read out of the window, the oldest first. */
  private Read awaitAny() throws InterruptedException {
    while (true) {
      for (Iterator<Read> reads = inFlight.iterator(); reads.hasNext(); ) {
        Read read = reads.next();
        if (read.pending().isDone()) {
          reads.remove();
          return read;
        }
      }
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      LockSupport.parkNanos(POLL_NANOS);
    }
  }

  private void finish(Read read) {
    try {
      int count = read.pending().await();
      if (failure.get() == null) {
        verify(read, count);
        write(read);
        progress(read.chunk().length());
      }
    } catch (StoreException | IOException | RuntimeException e) {
      failure.compareAndSet(null, e);
    } finally {
      buffers.giveBack(read.buffer());
      writing.release();
    }
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

  private void write(Read read) throws IOException {
    if (target.isEmpty()) {
      return;
    }
    ByteBuffer buffer = read.buffer().position(0);
    long offset = read.chunk().offset();
    while (buffer.hasRemaining()) {
      offset += target.get().write(buffer, offset);
    }
  }

  private void progress(int length) {
    synchronized (progressLock) {
      bytesDone += length;
      listener.fetched(bytesDone);
    }
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
    if (e instanceof StoreException store && store.kind() == NOT_FOUND) {
      throw new StoreException(
          CORRUPT,
          "cannot fetch image "
              + image.name()
              + ": a chunk is missing (push the image again): "
              + store.getMessage(),
          store);
    } else if (e instanceof StoreException store) {
      throw store;
    } else if (e instanceof IOException io) {
      throw io;
    } else if (e instanceof RuntimeException runtime) {
      throw runtime;
    }
  }
}
