package org.layercake.store;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Phaser;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Cuts a file into chunks and stores those that are not there. The calling thread reads and cuts,
 * workers digest and store. One object per push.
 */
final class ChunkWriter {
  /** Each waits for the store most of the time. */
  private static final int WORKERS = 16;

  private static final int WINDOW_BYTES = 4 * Chunker.MAX_BYTES;

  /** Says how long the chunk is that begins at {@code from}; see {@link Chunker#cut}. */
  interface Cutter {
    int cut(byte[] bytes, int from, int to);
  }

  private final ObjectStore store;
  private final BufferPool buffers;
  private final Cutter cutter;
  private final String domain;
  private final ImageStore.Existing existing;
  private final PushListener listener;

  private final List<Manifest.Chunk> chunks = new ArrayList<>();
  private final AtomicReference<Exception> failure = new AtomicReference<>();
  private final Phaser pending = new Phaser(1);
  private final Object progressLock = new Object();
  private long bytesDone;
  private long bytesNew;

  ChunkWriter(
      ObjectStore store,
      BufferPool buffers,
      Cutter cutter,
      String domain,
      ImageStore.Existing existing,
      PushListener listener) {
    this.store = store;
    this.buffers = buffers;
    this.cutter = cutter;
    this.domain = domain;
    this.existing = existing;
    this.listener = listener;
  }

  /** Returns the file's chunks in order once all of them are durable in the store. */
  List<Manifest.Chunk> run(FileChannel source) throws StoreException, IOException {
    ExecutorService workers =
        Executors.newFixedThreadPool(WORKERS, task -> new Thread(task, "push"));
    try {
      cutAll(source, workers);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("push interrupted");
    } finally {
      pending.arriveAndAwaitAdvance();
      workers.shutdown();
    }
    throwFailure();
    return chunks;
  }

  long bytesNew() {
    return bytesNew;
  }

  private void cutAll(FileChannel source, ExecutorService workers)
      throws IOException, InterruptedException {
    byte[] window = new byte[WINDOW_BYTES];
    int from = 0;
    int to = 0;
    long offset = 0;
    while (failure.get() == null) {
      if (to - from < Chunker.MAX_BYTES) {
        System.arraycopy(window, from, window, 0, to - from);
        to -= from;
        from = 0;
        to += readFully(source, ByteBuffer.wrap(window, to, window.length - to));
      }
      if (from == to) {
        return;
      }
      int length = cutter.cut(window, from, to);
      ByteBuffer content = buffers.take().limit(length).put(0, window, from, length);
      submit(workers, content, offset);
      from += length;
      offset += length;
    }
  }

  private static int readFully(FileChannel source, ByteBuffer target) throws IOException {
    int start = target.position();
    while (target.hasRemaining() && source.read(target) >= 0) {}
    return target.position() - start;
  }

  private void submit(ExecutorService workers, ByteBuffer content, long offset) {
    int index;
    synchronized (progressLock) {
      index = chunks.size();
      chunks.add(null);
    }
    pending.register();
    workers.execute(() -> storeOne(content, offset, index));
  }

  private void storeOne(ByteBuffer content, long offset, int index) {
    try {
      if (failure.get() == null) {
        Digest digest = Digest.of(content);
        boolean created = put(ImageStore.chunkObject(digest), content);
        done(index, new Manifest.Chunk(digest, offset, content.limit()), created);
      }
    } catch (StoreException | RuntimeException e) {
      failure.compareAndSet(null, e);
    } finally {
      buffers.giveBack(content);
      pending.arriveAndDeregister();
    }
  }

  /** Asks before it sends: a chunk that exists costs a round trip, not its bytes. */
  private boolean put(String object, ByteBuffer content) throws StoreException {
    if (!store.touch(domain, object)) {
      return store.create(domain, object, content);
    }
    if (existing == ImageStore.Existing.VERIFY && !isIntact(object, content)) {
      store.overwrite(domain, object, content);
      return true;
    }
    return false;
  }

  private boolean isIntact(String object, ByteBuffer content) throws StoreException {
    try {
      return store
          .read(domain, object, Chunker.MAX_BYTES)
          .map(ByteBuffer::wrap)
          .equals(Optional.of(content));
    } catch (StoreException e) {
      if (e.kind() == StoreException.Kind.CORRUPT) {
        return false;
      }
      throw e;
    }
  }

  private void done(int index, Manifest.Chunk chunk, boolean created) {
    synchronized (progressLock) {
      chunks.set(index, chunk);
      bytesDone += chunk.length();
      bytesNew += created ? chunk.length() : 0;
      listener.pushed(bytesDone, bytesNew);
    }
  }

  private void throwFailure() throws StoreException {
    Exception e = failure.get();
    if (e instanceof StoreException store) {
      throw store;
    } else if (e instanceof RuntimeException runtime) {
      throw runtime;
    }
  }
}
