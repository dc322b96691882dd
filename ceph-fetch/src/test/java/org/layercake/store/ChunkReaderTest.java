package org.layercake.store;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

/** What a fetch asks of its filler, and how it ends. */
class ChunkReaderTest extends CopiesTest {
  /** Bad copies of one image may take minutes; other images must not wait for that. */
  @Test
  void imageIsFetchedWhileAllOfAnotherIsReadAgainAndTheStoreDoesNotAnswer() throws Exception {
    CountDownLatch answers = new CountDownLatch(1);
    AtomicBoolean spoilt = new AtomicBoolean(true);
    Copies.Fate fate =
        copy -> {
          if (copy == PRIMARY) {
            await(answers);
          }
          return copy == PRIMARY || !spoilt.get();
        };
    try (ImageStore store = store(false, fate)) {
      Thread slow = new Thread(() -> fill(store, new All()));
      slow.start();
      awaitTrue(() -> reads.of(PRIMARY).get() == 2); // as many as are read again at once
      spoilt.set(false);
      assertTimeoutPreemptively(
          Duration.ofMinutes(1),
          () -> {
            for (int i = 0; i < 20; i++) {
              store.verify(image, done -> {});
            }
          });
      assertTrue(slow.isAlive());
      answers.countDown();
      slow.join();
    }
  }

  private static void awaitTrue(BooleanSupplier condition) throws InterruptedException {
    while (!condition.getAsBoolean()) {
      Thread.sleep(1);
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** All chunks, in their order. */
  private final class All implements Filler {
    private final AtomicInteger next = new AtomicInteger();

    @Override
    public Next next(int reading) {
      return next.get() < chunks() ? new Chunk(next.getAndIncrement()) : Nothing.MORE;
    }

    @Override
    public void store(int chunk, ByteBuffer content) {}

    @Override
    public void failed(int chunk, StoreException cause) throws StoreException {
      throw cause;
    }
  }

  @Test
  void errorsEndAFetchAndLeaveNothingBehind() throws Exception {
    AtomicBoolean failing = new AtomicBoolean(true);
    Copies.Fate fate =
        copy -> {
          if (failing.get()) {
            throw new OutOfMemoryError("Direct buffer memory");
          }
          return true;
        };
    try (ImageStore store = store(true, fate)) {
      assertTimeoutPreemptively(
          Duration.ofMinutes(1),
          () -> {
            for (int i = 0; i < 60; i++) { // more than there are buffers
              assertThrows(OutOfMemoryError.class, () -> store.verify(image, done -> {}));
            }
            failing.set(false);
            store.verify(image, done -> {});
          });
    }
  }

  @Test
  void errorsEndAPushAndItsBeginnings() throws Exception {
    Path source = Files.write(directory.resolve("new"), new byte[40 << 20]);
    try (ImageStore store =
        new ImageStore(new Failing(directory), InstantSource.system(), Chunker::cut)) {
      assertTimeoutPreemptively(
          Duration.ofMinutes(1),
          () -> {
            for (int i = 0; i < 10; i++) {
              assertThrows(
                  OutOfMemoryError.class, () -> StoreContract.push(store, source, "new", "alice"));
              try (ImagePush push = store.push(ImageName.parse("new"), "alice", Existing.TRUST)) {
                Failing.calls.set(0);
                push.follow(source);
                awaitTrue(() -> Failing.calls.get() > 0);
              }
            }
          });
    }
  }

  /** A store that has no memory for what it is to write. */
  private static final class Failing extends Jostled {
    static final AtomicInteger calls = new AtomicInteger();

    Failing(Path directory) throws StoreException {
      super(DirectoryStore.open(directory, InstantSource.system()), () -> {});
    }

    @Override
    public void requireWritable(String domain) {}

    @Override
    public boolean touch(String domain, String object) {
      calls.incrementAndGet();
      throw new OutOfMemoryError("Direct buffer memory");
    }
  }

  /** Without the call, each answer would come 100 ms after the one before. */
  @Test
  void fillerWithNothingYetIsAskedAgainAsSoonAsItCalls() throws Exception {
    int calls = 300;
    Semaphore answered = new Semaphore(0);
    List<Runnable> reader = new CopyOnWriteArrayList<>();
    AtomicInteger left = new AtomicInteger(calls);
    Filler filler =
        new Filler() {
          @Override
          public void begin(Runnable call) {
            reader.add(call);
          }

          @Override
          public Next next(int reading) {
            answered.release();
            return left.get() > 0 ? Nothing.YET : Nothing.MORE;
          }

          @Override
          public void store(int chunk, ByteBuffer content) {}

          @Override
          public void failed(int chunk, StoreException cause) {}
        };
    long beganNanos = System.nanoTime();
    try (ImageStore store = store(true, copy -> true)) {
      Thread fetch = new Thread(() -> fill(store, filler));
      fetch.start();
      while (left.get() > 0) {
        assertTrue(answered.tryAcquire(10, SECONDS));
        left.decrementAndGet();
        reader.get(0).run();
      }
      fetch.join();
    }
    assertTrue(System.nanoTime() - beganNanos < SECONDS.toNanos(calls / 20), "it was not heard");
  }

  @Test
  void fillerIsNotAskedAgainWhenThereIsNothingMore() throws Exception {
    AtomicInteger ends = new AtomicInteger();
    Map<Integer, Integer> stored = new ConcurrentHashMap<>();
    AtomicInteger next = new AtomicInteger();
    Filler filler =
        new Filler() {
          @Override
          public Next next(int reading) {
            if (next.get() < chunks()) {
              return new Chunk(next.getAndIncrement());
            }
            ends.incrementAndGet();
            return Nothing.MORE;
          }

          @Override
          public void store(int chunk, ByteBuffer content) {
            stored.merge(chunk, 1, Integer::sum);
          }

          @Override
          public void failed(int chunk, StoreException cause) throws StoreException {
            throw cause;
          }
        };
    try (ImageStore store = store(true, copy -> true)) {
      store.fill(image, filler);
    }
    assertEquals(chunks(), stored.size());
    assertEquals(1, ends.get());
  }
}
