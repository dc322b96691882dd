package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;
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

  private static void take(BufferPool pool, CompletableFuture<ByteBuffer> taken) {
    try {
      taken.complete(pool.take());
    } catch (InterruptedException e) {
      taken.completeExceptionally(e);
    }
  }
}
