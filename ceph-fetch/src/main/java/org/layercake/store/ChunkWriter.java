package org.layercake.store;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Phaser;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Cuts a file into chunks and stores those that are not there. The calling thread reads and cuts,
 * workers digest and store. One object per pass over a file.
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
  private final Map<Digest, Boolean> stored;
  private final PushListener listener;

  private final List<Manifest.Chunk> chunks = new ArrayList<>();
  private final AtomicReference<Exception> failure = new AtomicReference<>();
  private final Phaser pending = new Phaser(1);
  private final Object progressLock = new Object();
  private long bytesDone;
  private long bytesNew;

  /**
   * @param stored chunks that are in the store thanks to an earlier pass of the same push, and
   *     whether that pass created them; entries are taken out as they are met
   */
  ChunkWriter(
      ObjectStore store,
      BufferPool buffers,
      Cutter cutter,
      String domain,
      ImageStore.Existing existing,
      Map<Digest, Boolean> stored,
      PushListener listener) {
    this.store = store;
    this.buffers = buffers;
    this.cutter = cutter;
    this.domain = domain;
    this.existing = existing;
    this.stored = stored;
    this.listener = listener;
  }

  /** Returns the file's chunks in order once all of them are durable in the store. */
  List<Manifest.Chunk> run(ReadableByteChannel source) throws StoreException, IOException {
    pass(source, Part.WHOLE);
    return chunks;
  }

  /**
   * Stores what can be told already of a file that is still being written: not its first chunk,
   * which has the superblock and is written last, nor its end. A chunk that turns out to be none is
   * garbage like that of any interrupted push.
   *
   * @return the chunks that are in the store now, and whether they were created
   */
  Map<Digest, Boolean> runAhead(ReadableByteChannel growing) throws StoreException, IOException {
    pass(growing, Part.MIDDLE);
    return stored;
  }

  /** Which chunks of a source to store. */
  private enum Part {
    WHOLE,
    MIDDLE
  }

  private void pass(ReadableByteChannel source, Part part) throws StoreException, IOException {
    ExecutorService workers =
        Executors.newFixedThreadPool(WORKERS, task -> new Thread(task, "push"));
    try {
      cutAll(source, part, workers);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("push interrupted");
    } finally {
      pending.arriveAndAwaitAdvance();
      workers.shutdown();
    }
    throwFailure();
  }

  long bytesNew() {
    return bytesNew;
  }

  private void cutAll(ReadableByteChannel source, Part part, ExecutorService workers)
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
      boolean ends = part == Part.WHOLE ? from == to : to - from < Chunker.MAX_BYTES;
      if (ends) {
        return;
      }
      int length = cutter.cut(window, from, to);
      if (part == Part.WHOLE || offset > 0) {
        ByteBuffer content = buffers.take().limit(length).put(0, window, from, length);
        submit(workers, content, offset, part);
      }
      from += length;
      offset += length;
    }
  }

  private static int readFully(ReadableByteChannel source, ByteBuffer target) throws IOException {
    int start = target.position();
    while (target.hasRemaining() && source.read(target) >= 0) {}
    return target.position() - start;
  }

  private void submit(ExecutorService workers, ByteBuffer content, long offset, Part part) {
    int index;
    synchronized (progressLock) {
      index = chunks.size();
      chunks.add(null);
    }
    pending.register();
    workers.execute(() -> storeOne(content, offset, index, part));
  }

  private void storeOne(ByteBuffer content, long offset, int index, Part part) {
    try {
      if (failure.get() == null) {
        Digest digest = Digest.of(content);
        Boolean before = part == Part.WHOLE ? stored.remove(digest) : null;
        boolean created = before == null ? put(ImageStore.chunkObject(digest), content) : before;
        if (part == Part.MIDDLE) {
          stored.merge(digest, created, Boolean::logicalOr);
        }
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
