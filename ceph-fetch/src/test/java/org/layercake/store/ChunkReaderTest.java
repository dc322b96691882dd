package org.layercake.store;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.StoreContract.assertKind;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.IntPredicate;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Reads an image of several chunks from a directory whose copies can be made bad. */
class ChunkReaderTest {
  private static final ObjectStore.Copy PREFERRED = ObjectStore.Copy.PREFERRED;
  private static final ObjectStore.Copy PRIMARY = ObjectStore.Copy.PRIMARY;
  private static final int REPLICAS = 2;

  @TempDir Path directory;

  private final Map<ObjectStore.Copy, AtomicInteger> reads = new EnumMap<>(ObjectStore.Copy.class);
  private final AtomicInteger replicasRead = new AtomicInteger();
  private Image image;

  /** What a read of a copy comes to. */
  private interface Fate {
    /** To be true to the store, false to be wrong by a byte. */
    boolean isGood(ObjectStore.Copy copy) throws StoreException;

    /** The same of a copy that is not the primary one. */
    default boolean isGood(int replica) {
      return false;
    }
  }

  private record OneGoodReplica(int good) implements Fate {
    @Override
    public boolean isGood(ObjectStore.Copy copy) {
      return false;
    }

    @Override
    public boolean isGood(int replica) {
      return replica == good;
    }
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
    assertEquals(0, replicasRead.get());
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
    for (int good = 0; good < REPLICAS; good++) {
      replicasRead.set(0);
      try (ImageStore store = store(true, new OneGoodReplica(good))) {
        store.verify(image, done -> {});
      }
      assertEquals(chunks() * (good + 1), replicasRead.get());
    }
  }

  @Test
  void chunkWithoutAGoodCopyIsCorruptAfterEachWasReadOnce() throws Exception {
    try (ImageStore store = store(true, copy -> false)) {
      store.fill(image, new OneByOne(1));
    }
    assertEquals(1, reads.get(PREFERRED).get());
    assertEquals(1, reads.get(PRIMARY).get());
    assertEquals(REPLICAS, replicasRead.get());
  }

  @Test
  void replicasAreLeftAloneWhereTheyMayNotBeRead() throws Exception {
    try (ImageStore store = store(false, new OneGoodReplica(0))) {
      assertKind(StoreException.Kind.CORRUPT, () -> store.verify(image, done -> {}));
    }
    assertEquals(0, replicasRead.get());
  }

  @Test
  void copiesThatLackAChunkAreFollowedByTheOthers() throws Exception {
    for (ObjectStore.Copy last : ObjectStore.Copy.values()) {
      try (ImageStore store = store(true, new Lacking(last))) {
        store.verify(image, done -> {});
      }
    }
    assertEquals(chunks(), replicasRead.get(), "where the primary lacks it, too");
  }

  /** Copies up to one lack what is read. */
  private record Lacking(ObjectStore.Copy last) implements Fate {
    @Override
    public boolean isGood(ObjectStore.Copy copy) throws StoreException {
      if (copy.compareTo(last) <= 0) {
        throw new StoreException(StoreException.Kind.NOT_FOUND, "no such object");
      }
      return true;
    }

    @Override
    public boolean isGood(int replica) {
      return true;
    }
  }

  @Test
  void chunkThatAllCopiesLackIsMissing() throws Exception {
    Path chunk =
        directory
            .resolve(image.domain())
            .resolve(ObjectNames.chunk(image.manifest().chunks().get(1).digest()));
    Files.delete(chunk);
    for (boolean hasReplicas : new boolean[] {false, true}) {
      try (ImageStore store = store(hasReplicas, copy -> true)) {
        StoreException e =
            assertKind(StoreException.Kind.CORRUPT, () -> store.verify(image, done -> {}));
        assertTrue(e.getMessage().contains("a chunk is missing"), e.getMessage());
      }
      assertEquals(hasReplicas ? 1 : 0, reads.get(PRIMARY).getAndSet(0));
    }
  }

  /** Else one image that is damaged on purpose would have all its copies read for ever. */
  @Test
  void replicasOfAnImageThatHasLostMuchAreNotLookedForAnyMore() throws Exception {
    try (ImageStore store = store(true, copy -> false)) {
      OneByOne filler = new OneByOne(chunks());
      store.fill(image, filler);
      assertEquals(chunks(), filler.lost.get());
    }
    assertTrue(chunks() > 16, "chunks: " + chunks());
    // Two chunks may be read again at once, and both be the sixteenth.
    int chunks = replicasRead.get() / REPLICAS;
    assertTrue(chunks == 16 || chunks == 17, "chunks: " + chunks);
  }

  /** Asks for the first chunks one after the other, and goes on without those that are lost. */
  private static final class OneByOne implements Filler {
    private final int count;
    private final AtomicInteger next = new AtomicInteger();
    private final AtomicInteger lost = new AtomicInteger();

    OneByOne(int count) {
      this.count = count;
    }

    @Override
    public Next next(int reading) {
      if (next.get() == count) {
        return Nothing.MORE;
      }
      return reading > 0 ? Nothing.YET : new Chunk(next.getAndIncrement());
    }

    @Override
    public void store(int chunk, ByteBuffer content) {
      throw new AssertionError("a bad chunk was taken");
    }

    @Override
    public void failed(int chunk, StoreException cause) {
      lost.incrementAndGet();
    }
  }

  /** Bad copies of one image may take minutes; other images must not wait for that. */
  @Test
  void imageIsFetchedWhileAllOfAnotherIsReadAgainAndTheStoreDoesNotAnswer() throws Exception {
    CountDownLatch answers = new CountDownLatch(1);
    AtomicBoolean spoilt = new AtomicBoolean(true);
    Fate fate =
        copy -> {
          if (copy == PRIMARY) {
            await(answers);
          }
          return copy == PRIMARY || !spoilt.get();
        };
    try (ImageStore store = store(false, fate)) {
      Thread slow = new Thread(() -> fill(store, new All()));
      slow.start();
      awaitTrue(() -> reads.get(PRIMARY).get() == 2); // as many as are read again at once
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
    Fate fate =
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
              try (PushAhead ahead =
                  store.pushAhead(ImageName.parse("new"), "alice", ImageStore.Existing.TRUST)) {
                Failing.calls.set(0);
                ahead.follow(source);
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
                  if (method.getName().equals("readReplicas")) {
                    return readReplicas(whole, arguments, fate);
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

  private boolean readReplicas(ObjectStore store, Object[] arguments, Fate fate)
      throws StoreException {
    ByteBuffer target = (ByteBuffer) arguments[2];
    for (int replica = 0; replica < REPLICAS; replica++) {
      replicasRead.incrementAndGet();
      int count;
      try {
        count =
            store.startRead((String) arguments[0], (String) arguments[1], target, PRIMARY).await();
      } catch (StoreException e) {
        continue; // not there, as for Replicas
      }
      if (!fate.isGood(replica)) {
        target.put(0, (byte) ~target.get(0));
      }
      if (((IntPredicate) arguments[3]).test(count)) {
        return true;
      }
    }
    return false;
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
