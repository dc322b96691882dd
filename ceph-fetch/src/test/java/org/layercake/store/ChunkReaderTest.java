package org.layercake.store;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.StoreContract.assertKind;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Reads an image of several chunks from a directory whose copies can be made bad. */
class ChunkReaderTest {
  private static final ObjectStore.Copy PREFERRED = ObjectStore.Copy.PREFERRED;
  private static final ObjectStore.Copy PRIMARY = ObjectStore.Copy.PRIMARY;
  private static final ObjectStore.Copy RANDOM = ObjectStore.Copy.RANDOM;

  @TempDir Path directory;

  private final Map<ObjectStore.Copy, AtomicInteger> reads = new EnumMap<>(ObjectStore.Copy.class);
  private Image image;

  /** What a read of a copy comes to. */
  private interface Fate {
    /** To be true to the store, false to be wrong by a byte. */
    boolean isGood(ObjectStore.Copy copy) throws StoreException;
  }

  @BeforeEach
  void push() throws Exception {
    for (ObjectStore.Copy copy : ObjectStore.Copy.values()) {
      reads.put(copy, new AtomicInteger());
    }
    byte[] content = new byte[20 << 20];
    new Random(1).nextBytes(content);
    Path source = Files.write(directory.resolve("image"), content);
    try (ImageStore store = store(true, copy -> true)) {
      StoreContract.push(store, source, "deb:12", "alice");
      image = store.resolve(ImageName.parse("deb:12"), "alice");
    }
  }

  @Test
  void primaryIsReadWhereAReplicaIsBad() throws Exception {
    try (ImageStore store = store(true, copy -> copy != PREFERRED)) {
      store.verify(image, done -> {});
    }
    assertEquals(chunks(), reads.get(PRIMARY).get());
    assertEquals(0, reads.get(RANDOM).get());
  }

  @Test
  void primaryIsReadWhereAReplicaIsUnreadable() throws Exception {
    try (ImageStore store = store(true, ChunkReaderTest::refuseReplicas)) {
      store.verify(image, done -> {});
    }
    assertEquals(chunks(), reads.get(PRIMARY).get());
  }

  private static boolean refuseReplicas(ObjectStore.Copy copy) throws StoreException {
    if (copy != PRIMARY) {
      throw new StoreException(StoreException.Kind.CORRUPT, "I/O error");
    }
    return true;
  }

  @Test
  void oneGoodReplicaOfThreeIsFoundWhereThePrimaryIsBad() throws Exception {
    AtomicInteger tries = new AtomicInteger();
    try (ImageStore store =
        store(true, copy -> copy == RANDOM && tries.incrementAndGet() % 3 == 0)) {
      store.verify(image, done -> {});
    }
    assertEquals(chunks(), reads.get(PRIMARY).get());
  }

  @Test
  void chunkWithoutAGoodCopyIsCorruptAfterSomeTries() throws Exception {
    try (ImageStore store = store(true, copy -> false)) {
      assertKind(StoreException.Kind.CORRUPT, () -> store.verify(image, done -> {}));
    }
    assertTrue(reads.get(RANDOM).get() >= 12, "tries: " + reads.get(RANDOM));
  }

  @Test
  void replicasAreLeftAloneWhereTheyMayNotBeRead() throws Exception {
    try (ImageStore store = store(false, copy -> false)) {
      assertKind(StoreException.Kind.CORRUPT, () -> store.verify(image, done -> {}));
    }
    assertEquals(0, reads.get(RANDOM).get());
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

  private int chunks() {
    return image.manifest().chunks().size();
  }

  private void fill(ImageStore store, Filler filler) {
    try {
      store.fill(image, filler);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private ImageStore store(boolean readsReplicas, Fate fate) throws Exception {
    InstantSource clock = InstantSource.system();
    ObjectStore whole = DirectoryStore.open(directory, clock);
    ObjectStore copies =
        (ObjectStore)
            Proxy.newProxyInstance(
                ObjectStore.class.getClassLoader(),
                new Class<?>[] {ObjectStore.class},
                (proxy, method, arguments) -> {
                  if (method.getName().equals("readsReplicas")) {
                    return readsReplicas;
                  }
                  try {
                    Object result = method.invoke(whole, arguments);
                    return method.getName().equals("startRead")
                        ? tampered(
                            (ObjectStore.PendingRead) result,
                            (ByteBuffer) arguments[2],
                            (ObjectStore.Copy) arguments[3],
                            fate)
                        : result;
                  } catch (InvocationTargetException e) {
                    throw e.getCause();
                  }
                });
    return new ImageStore(copies, clock, Chunker::cut);
  }

  private ObjectStore.PendingRead tampered(
      ObjectStore.PendingRead read, ByteBuffer target, ObjectStore.Copy copy, Fate fate) {
    reads.get(copy).incrementAndGet();
    return new ObjectStore.PendingRead() {
      @Override
      public int await() throws StoreException {
        int count = read.await();
        if (!fate.isGood(copy)) {
          target.put(0, (byte) ~target.get(0));
        }
        return count;
      }

      @Override
      public void cancel() {
        read.cancel();
      }
    };
  }
}
