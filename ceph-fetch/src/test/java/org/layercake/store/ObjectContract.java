package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.ObjectStore.TagPart.NAME;
import static org.layercake.store.ObjectStore.TagPart.NAME_AND_VALUE;

import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** What every back end must do by itself: objects and tags. */
public abstract class ObjectContract extends StoreContract {
  @Test
  void objectIsCreatedOnceAndReadBack() throws Exception {
    assertTrue(objects.create(domain, "c/a", direct("one")));
    assertFalse(objects.create(domain, "c/a", direct("other")));
    assertArrayEquals(bytes("one"), objects.read(domain, "c/a", 10).orElseThrow());
  }

  @Test
  void absentObjectIsNotAnErrorForReadAndTouch() throws Exception {
    assertEquals(Optional.empty(), objects.read(domain, "c/none", 10));
    assertFalse(objects.touch(domain, "c/none"));
    objects.create(domain, "c/a", direct("one"));
    assertTrue(objects.touch(domain, "c/a"));
  }

  @Test
  void objectLongerThanAllowedIsRefused() throws Exception {
    objects.create(domain, "c/a", direct("0123456789"));
    assertKind(StoreException.Kind.CORRUPT, () -> objects.read(domain, "c/a", 9));
    assertEquals(10, objects.read(domain, "c/a", 10).orElseThrow().length);
  }

  @Test
  void objectOfSeveralMebibytesIsReadWhole() throws Exception {
    for (int size : new int[] {1 << 20, (1 << 20) + 1, (2 << 20) - 1, 5 << 20}) {
      ByteBuffer content = ByteBuffer.allocateDirect(size).put(0, random(size, size));
      objects.create(domain, "c/" + size, content);
      assertArrayEquals(
          random(size, size), objects.read(domain, "c/" + size, 8 << 20).orElseThrow());
    }
  }

  @Test
  void asynchronousReadsFillTheirOwnBuffers() throws Exception {
    List<ObjectStore.PendingRead> reads = new ArrayList<>();
    List<ByteBuffer> buffers = new ArrayList<>();
    ObjectStore.Copy[] copies = ObjectStore.Copy.values();
    for (int i = 0; i < 20; i++) {
      objects.create(domain, "c/" + i, direct("content " + i));
    }
    for (int i = 0; i < 20; i++) {
      buffers.add(ByteBuffer.allocateDirect(100));
      reads.add(objects.startRead(domain, "c/" + i, buffers.get(i), copies[i % copies.length]));
    }
    for (int i = 0; i < 20; i++) {
      byte[] found = new byte[reads.get(i).await()];
      buffers.get(i).get(0, found);
      assertArrayEquals(bytes("content " + i), found);
    }
  }

  @Test
  void asynchronousReadOfAnAbsentObjectIsNotFound() throws Exception {
    ObjectStore.PendingRead read =
        objects.startRead(
            domain, "c/none", ByteBuffer.allocateDirect(10), ObjectStore.Copy.PREFERRED);
    assertKind(StoreException.Kind.NOT_FOUND, read::await);
  }

  @Test
  void cancelledReadEndsInBoundedTime() throws Exception {
    objects.create(domain, "c/a", ByteBuffer.allocateDirect(4 << 20));
    ObjectStore.PendingRead read =
        objects.startRead(
            domain, "c/a", ByteBuffer.allocateDirect(4 << 20), ObjectStore.Copy.PREFERRED);
    read.cancel();
    try {
      assertEquals(4 << 20, read.await());
    } catch (StoreException e) {
      assertEquals(StoreException.Kind.UNAVAILABLE, e.kind());
    }
  }

  @Test
  void tagMovesOnlyFromWhatTheCallerSaw() throws Exception {
    Optional<byte[]> one = Optional.of(bytes("one"));
    Optional<byte[]> two = Optional.of(bytes("two"));
    assertEquals(Optional.empty(), objects.readTag(domain, "deb/12"));
    assertFalse(objects.swapTag(domain, "deb/12", one, two), "there is none yet");
    assertTrue(objects.swapTag(domain, "deb/12", Optional.empty(), one));
    assertFalse(objects.swapTag(domain, "deb/12", Optional.empty(), two), "there is one");
    assertFalse(objects.swapTag(domain, "deb/12", two, one), "it is another");
    assertTrue(objects.swapTag(domain, "deb/12", one, two));
    assertArrayEquals(bytes("two"), objects.readTag(domain, "deb/12").orElseThrow());
    assertTrue(objects.swapTag(domain, "deb/12", two, Optional.empty()));
    assertEquals(Optional.empty(), objects.readTag(domain, "deb/12"));
  }

  @Test
  void ofConcurrentMovesOfOneTagExactlyOneWins() throws Exception {
    int contenders = 8;
    int wins = 0;
    for (Future<Boolean> won :
        together(
            contenders,
            i ->
                objects.swapTag(
                    domain, "race/x", Optional.empty(), Optional.of(bytes("by " + i))))) {
      wins += won.get() ? 1 : 0;
    }
    assertEquals(1, wins);
  }

  @Test
  void tagsAreListedSortedAndBounded() throws Exception {
    assertTrue(
        objects.listTags(domain, NAME_AND_VALUE, 10).tags().isEmpty(),
        "a domain that does not exist");
    for (int i = 0; i < 30; i++) {
      objects.swapTag(
          domain, "deb/%02d".formatted(i), Optional.empty(), Optional.of(bytes("v" + i)));
    }
    assertEquals(30, objects.listTags(domain, NAME_AND_VALUE, 100).tags().size());
    assertEquals("deb/00", objects.listTags(domain, NAME_AND_VALUE, 100).tags().firstKey());
    assertArrayEquals(
        bytes("v29"), objects.listTags(domain, NAME_AND_VALUE, 100).tags().get("deb/29"));
    assertTrue(objects.listTags(domain, NAME_AND_VALUE, 30).isComplete());
    assertEquals(7, objects.listTags(domain, NAME_AND_VALUE, 7).tags().size());
    assertFalse(objects.listTags(domain, NAME_AND_VALUE, 7).isComplete());
    assertEquals(
        objects.listTags(domain, NAME_AND_VALUE, 100).tags().keySet(),
        objects.listTags(domain, NAME, 100).tags().keySet());
    assertEquals(0, objects.listTags(domain, NAME, 100).tags().get("deb/29").length);
  }

  @Test
  void moreTagsThanOneRequestCarriesAreListed() throws Exception {
    for (int i = 0; i < 600; i++) {
      objects.swapTag(domain, "n/" + i, Optional.empty(), Optional.of(bytes("v")));
    }
    assertEquals(600, objects.listTags(domain, NAME_AND_VALUE, 10_000).tags().size());
    assertEquals(600, objects.listTags(domain, NAME, 10_000).tags().size());
  }

  @Test
  void listingHoldsNoMoreThanSomeMebibytesOfTags() throws Exception {
    byte[] large = random(ObjectStore.MAX_TAG_BYTES, 60);
    for (int i = 0; i < 300; i++) {
      objects.swapTag(domain, "n/" + i, Optional.empty(), Optional.of(large));
    }
    ObjectStore.TagList listed = objects.listTags(domain, NAME_AND_VALUE, 10_000);
    long held = listed.tags().values().stream().mapToLong(value -> value.length).sum();
    assertFalse(listed.isComplete());
    assertTrue(held > 3 << 20 && held <= ObjectStore.MAX_LISTED_BYTES, "held " + held);
  }

  @Test
  void objectIsRemovedOnlyIfNobodyHasTouchedItSince() throws Exception {
    AtomicLong seconds = new AtomicLong(1_000_000);
    try (ObjectStore timed = connect(() -> Instant.ofEpochSecond(seconds.get()))) {
      timed.create(domain, "c/a", direct("12345"));
      ObjectStore.Trace trace = timed.trace(domain, "c/a").orElseThrow();
      assertEquals(new ObjectStore.Trace(Instant.ofEpochSecond(1_000_000), 5), trace);
      seconds.incrementAndGet();
      assertTrue(timed.touch(domain, "c/a"));
      assertFalse(timed.remove(domain, "c/a", trace.seen()), "it was touched");
      Instant seen = timed.trace(domain, "c/a").orElseThrow().seen();
      assertEquals(Instant.ofEpochSecond(1_000_001), seen);
      assertTrue(timed.remove(domain, "c/a", seen));
      assertFalse(timed.remove(domain, "c/a", seen), "it has gone");
      assertEquals(Optional.empty(), timed.trace(domain, "c/a"));
      assertFalse(timed.touch(domain, "c/a"));
    }
  }

  @Test
  void objectsOfADomainAreListedOnceEach() throws Exception {
    List<String> expected = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      String object = (i % 3 == 0 ? "m/" : "c/") + Digest.of(bytes("o" + i)).hex();
      objects.create(domain, object, direct("x"));
      expected.add(object);
    }
    objects.swapTag(domain, "deb/12", Optional.empty(), Optional.of(bytes("v")));
    List<String> listed = new ArrayList<>();
    objects.list(
        Optional.of(domain),
        (where, object) -> {
          assertEquals(domain, where);
          listed.add(object);
        });
    listed.remove("t"); // RADOS keeps tags in an object
    expected.sort(null);
    listed.sort(null);
    assertEquals(expected, listed);
  }
}
