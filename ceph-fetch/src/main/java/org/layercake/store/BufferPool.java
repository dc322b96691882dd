package org.layercake.store;

import static org.layercake.store.Manifest.MAX_CHUNK_BYTES;

import java.nio.ByteBuffer;
import java.util.concurrent.LinkedBlockingDeque;
import java.util.concurrent.Semaphore;
import java.util.function.IntFunction;

/**
 * A fixed number of direct buffers, each as large as the largest chunk, made when first needed and
 * kept until trimmed. Bounds the memory of all fetches and pushes of a process together.
 */
final class BufferPool {
  private final Semaphore permits;
  private final IntFunction<ByteBuffer> allocate;
  private final LinkedBlockingDeque<ByteBuffer> free = new LinkedBlockingDeque<>();

  BufferPool(int count) {
    this(count, ByteBuffer::allocateDirect);
  }

  BufferPool(int count, IntFunction<ByteBuffer> allocate) {
    this.permits = new Semaphore(count);
    this.allocate = allocate;
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

  /** The last one given back first: its memory is warm. Where there is none, nothing is taken. */
  private ByteBuffer buffer() {
    boolean made = false;
    try {
      ByteBuffer buffer = free.pollFirst();
      buffer = buffer == null ? allocate.apply(MAX_CHUNK_BYTES) : buffer.clear();
      made = true;
      return buffer;
    } finally {
      if (!made) {
        permits.release();
      }
    }
  }
}
