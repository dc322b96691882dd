package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.StoreContract.assertKind;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Which copies of a chunk are read, and what is said when none is good. */
class ChunkCopiesTest extends CopiesTest {
  @Test
  void primaryIsReadWhereAReplicaIsBad() throws Exception {
    try (ImageStore store = store(true, copy -> copy != PREFERRED)) {
      store.verify(image, done -> {});
    }
    assertEquals(chunks(), reads.of(PRIMARY).get());
    assertEquals(0, reads.ofReplicas().get());
  }

  @Test
  void primaryIsReadWhereAReplicaIsUnreadable() throws Exception {
    try (ImageStore store = store(true, ChunkCopiesTest::refuseReplicas)) {
      store.verify(image, done -> {});
    }
    assertEquals(chunks(), reads.of(PRIMARY).get());
  }

  private static boolean refuseReplicas(ObjectStore.Copy copy) throws StoreException {
    if (copy != PRIMARY) {
      throw new StoreException(StoreException.Kind.CORRUPT, "I/O error");
    }
    return true;
  }

  @Test
  void oneGoodReplicaOfThreeIsFoundWhereThePrimaryIsBad() throws Exception {
    for (int good = 0; good < Copies.REPLICAS; good++) {
      reads.ofReplicas().set(0);
      try (ImageStore store = store(true, new Copies.OneGoodReplica(good))) {
        store.verify(image, done -> {});
      }
      assertEquals(chunks() * (good + 1), reads.ofReplicas().get());
    }
  }

  @Test
  void chunkWithoutAGoodCopyIsCorruptAfterEachWasReadOnce() throws Exception {
    try (ImageStore store = store(true, copy -> false)) {
      store.fill(image, new OneByOne(1));
    }
    assertEquals(1, reads.of(PREFERRED).get());
    assertEquals(1, reads.of(PRIMARY).get());
    assertEquals(Copies.REPLICAS, reads.ofReplicas().get());
  }

  @Test
  void replicasAreLeftAloneWhereTheyMayNotBeRead() throws Exception {
    try (ImageStore store = store(false, new Copies.OneGoodReplica(0))) {
      assertKind(StoreException.Kind.CORRUPT, () -> store.verify(image, done -> {}));
    }
    assertEquals(0, reads.ofReplicas().get());
  }

  @Test
  void copiesThatLackAChunkAreFollowedByTheOthers() throws Exception {
    for (ObjectStore.Copy last : ObjectStore.Copy.values()) {
      try (ImageStore store = store(true, new Copies.Lacking(last))) {
        store.verify(image, done -> {});
      }
    }
    assertEquals(chunks(), reads.ofReplicas().get(), "where the primary lacks it, too");
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
      assertEquals(hasReplicas ? 1 : 0, reads.of(PRIMARY).getAndSet(0));
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
    int chunks = reads.ofReplicas().get() / Copies.REPLICAS;
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
}
