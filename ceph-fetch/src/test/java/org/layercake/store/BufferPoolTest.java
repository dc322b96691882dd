package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class BufferPoolTest {
  /** A fetch that has many buffers would take each for itself again, and another never begin. */
  @Test
  void bufferGivenBackIsForWhoeverWaits() throws Exception {
    BufferPool pool = new BufferPool(1);
    ByteBuffer buffer = pool.take();
    CompletableFuture<ByteBuffer> taken = new CompletableFuture<>();
    Thread waiting = new Thread(() -> take(pool, taken));
    waiting.start();
    while (waiting.getState() != Thread.State.WAITING) {
      Thread.onSpinWait();
    }
    pool.giveBack(buffer);
    assertNull(pool.poll());
    assertNotNull(taken.get());
  }

  @Test
  void bufferThatCannotBeMadeIsNotCounted() throws Exception {
    AtomicInteger made = new AtomicInteger();
    BufferPool pool =
        new BufferPool(
            1,
            bytes -> {
              if (made.incrementAndGet() < 3) {
                throw new OutOfMemoryError("Direct buffer memory");
              }
              return ByteBuffer.allocate(bytes);
            });
    assertThrows(OutOfMemoryError.class, pool::take);
    assertThrows(OutOfMemoryError.class, pool::poll);
    assertNotNull(pool.poll());
  }

  private static void take(BufferPool pool, CompletableFuture<ByteBuffer> taken) {
    try {
      taken.complete(pool.take());
    } catch (InterruptedException e) {
      taken.completeExceptionally(e);
    }
  }
}
