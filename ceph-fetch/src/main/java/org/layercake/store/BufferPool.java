package org.layercake.store;

import static org.layercake.store.Manifest.MAX_CHUNK_BYTES;

import java.nio.ByteBuffer;
import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.Semaphore;

/**
 * A fixed number of direct buffers, each as large as the largest chunk, made when first needed and
 * kept until trimmed. Bounds the memory of all fetches and pushes of a process together.
 */
final class BufferPool {
  private final Semaphore permits;
  private final LinkedBlockingDeque<ByteBuffer> free = new LinkedBlockingDeque<>();

  BufferPool(int count) {
    permits = new Semaphore(count);
  }

  /** Waits for a buffer. */
  ByteBuffer take() throws InterruptedException {
    permits.acquire();
    return buffer();
  }

  /** A buffer if there is one at once that nobody waits for, else null. */
  ByteBuffer poll() {
    return !permits.hasQueuedThreads() && permits.tryAcquire() ? buffer() : null;
  }

  void giveBack(ByteBuffer buffer) {
    free.addFirst(buffer);
    permits.release();
  }

  /** Lets go of the buffers that nobody has; the collector gives their memory back. */
  void trim() {
    free.clear();
  }

  /** The last one given back first: its memory is warm. */
  private ByteBuffer buffer() {
    ByteBuffer buffer = free.pollFirst();
    return buffer == null ? ByteBuffer.allocateDirect(MAX_CHUNK_BYTES) : buffer.clear();
  }
}
