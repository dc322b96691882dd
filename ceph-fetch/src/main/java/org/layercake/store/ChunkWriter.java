package org.layercake.store;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
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

  /** What is cut: bytes at a position, as many as there are and fit; negative at the end. */
  interface Source {
    int read(ByteBuffer target, long position) throws IOException;
  }

  /** A chunk that is in the store, and whether this push created it. */
  record Stored(Manifest.Chunk chunk, boolean created) {}

  private final ObjectStore store;
  private final BufferPool buffers;
  private final Cutter cutter;
  private final String domain;
  private final Existing existing;
  private final PushListener listener;

  private final List<Stored> stored = new ArrayList<>();
  private final AtomicReference<Throwable> failure = new AtomicReference<>();
  private final Phaser pending = new Phaser(1);
  private final Object progressLock = new Object();
  private long bytesDone;
  private long bytesNew;

  ChunkWriter(
      ObjectStore store,
      BufferPool buffers,
      Cutter cutter,
      String domain,
      Existing existing,
      PushListener listener) {
    this.store = store;
    this.buffers = buffers;
    this.cutter = cutter;
    this.domain = domain;
    this.existing = existing;
    this.listener = listener;
  }

  /**
   * Stores a whole file.
   *
   * @param guesses what may be in the store already, by a pass over the file while it grew
   * @return the file's chunks in order, all of them durable in the store
   */
  List<Manifest.Chunk> run(Source source, List<Stored> guesses) throws StoreException, IOException {
    pass(
        workers -> {
          Map<Long, Stored> right = right(guesses, source, workers);
          cutAll(source, Part.WHOLE, right, workers);
        });
    return stored.stream().map(Stored::chunk).toList();
  }

  /**
   * Stores what can be told already of a file that is still being written: not its first chunk,
   * which has the superblock and is written last, nor its end. A chunk that turns out to be none is
   * garbage like that of any interrupted push.
   */
  List<Stored> runAhead(Source growing) throws StoreException, IOException {
    pass(workers -> cutAll(growing, Part.MIDDLE, Map.of(), workers));
    return stored;
  }

  /** Which chunks of a source to store. */
  private enum Part {
    WHOLE,
    MIDDLE
  }

  private interface Work {
    void run(ExecutorService workers) throws IOException, InterruptedException;
  }

  private void pass(Work work) throws StoreException, IOException {
    ExecutorService workers =
        Executors.newFixedThreadPool(WORKERS, task -> new Thread(task, "push"));
    try {
      work.run(workers);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("push interrupted");
    } finally {
      pending.arriveAndAwaitAdvance();
      workers.shutdown();
    }
    StoreException.rethrow(failure.get());
  }

  long bytesNew() {
    return bytesNew;
  }

  /** The guesses that are what the file has now, by their offset. */
  private Map<Long, Stored> right(List<Stored> guesses, Source source, ExecutorService workers)
      throws InterruptedException {
    Map<Long, Stored> right = new ConcurrentHashMap<>();
    for (Stored guess : guesses) {
      ByteBuffer content = buffers.take().limit(guess.chunk().length());
      submit(
          workers,
          content,
          () -> {
            long offset = guess.chunk().offset();
            readFully(source, content, offset);
            if (!content.hasRemaining()
                && Digest.of(content.flip()).equals(guess.chunk().digest())) {
              right.put(offset, guess);
            }
          });
    }
    pending.arriveAndAwaitAdvance();
    return right;
  }

  /** A chunk's end depends on its bytes alone, so where a right guess begins it also ends. */
  private void cutAll(Source source, Part part, Map<Long, Stored> known, ExecutorService workers)
      throws IOException, InterruptedException {
    byte[] window = new byte[WINDOW_BYTES];
    int from = 0;
    int to = 0;
    long offset = 0;
    while (failure.get() == null) {
      Stored right = known.get(offset);
      if (right != null) {
        done(reserve(), right);
        offset += right.chunk().length();
        from = Math.min(to, from + right.chunk().length());
        continue;
      }
      if (to - from < Chunker.MAX_BYTES) {
        System.arraycopy(window, from, window, 0, to - from);
        to -= from;
        from = 0;
        to += readFully(source, ByteBuffer.wrap(window, to, window.length - to), offset + to);
      }
      boolean ends = part == Part.WHOLE ? from == to : to - from < Chunker.MAX_BYTES;
      if (ends) {
        return;
      }
      int length = cutter.cut(window, from, to);
      if (part == Part.WHOLE || offset > 0) {
        ByteBuffer content = buffers.take().limit(length).put(0, window, from, length);
        long at = offset;
        int index = reserve();
        submit(workers, content, () -> storeOne(content, at, index));
      }
      from += length;
      offset += length;
    }
  }

  /** Returns the number of bytes, fewer than there is room for only at the end. */
  private static int readFully(Source source, ByteBuffer target, long position) throws IOException {
    int start = target.position();
    while (target.hasRemaining()
        && source.read(target, position + target.position() - start) >= 0) {}
    return target.position() - start;
  }

  /** The place of the next chunk in the list. */
  private int reserve() {
    synchronized (progressLock) {
      stored.add(null);
      return stored.size() - 1;
    }
  }

  private interface Task {
    void run() throws StoreException, IOException;
  }

  /** Runs a task with a buffer that is given back afterwards; after a failure no more. */
  private void submit(ExecutorService workers, ByteBuffer content, Task task) {
    pending.register();
    Runnable whole =
        () -> {
          try {
            if (failure.get() == null) {
              task.run();
            }
          } catch (Throwable e) { // a chunk that is not stored must not be forgotten
            failure.compareAndSet(null, e);
          } finally {
            buffers.giveBack(content);
            pending.arriveAndDeregister();
          }
        };
    try {
      workers.execute(whole);
    } catch (Throwable e) { // there may be no more threads
      whole.run();
    }
  }

  private void storeOne(ByteBuffer content, long offset, int index) throws StoreException {
    Digest digest = Digest.of(content);
    boolean created = put(ObjectNames.chunk(digest), content);
    done(index, new Stored(new Manifest.Chunk(digest, offset, content.limit()), created));
  }

  /** Asks before it sends: a chunk that exists costs a round trip, not its bytes. */
  private boolean put(String object, ByteBuffer content) throws StoreException {
    if (!store.touch(domain, object)) {
      return store.create(domain, object, content);
    }
    if (existing == Existing.VERIFY && !isIntact(object, content)) {
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

  private void done(int index, Stored chunk) {
    synchronized (progressLock) {
      stored.set(index, chunk);
      bytesDone += chunk.chunk().length();
      bytesNew += chunk.created() ? chunk.chunk().length() : 0;
      listener.pushed(bytesDone, bytesNew);
    }
  }
}
