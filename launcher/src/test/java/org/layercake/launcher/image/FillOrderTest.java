package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.Filler.Nothing.MORE;
import static org.layercake.store.Filler.Nothing.YET;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.layercake.store.Filler;

class FillOrderTest {
  private static final int CHUNKS = 100;
  private static final long MILLI = 1_000_000;

  private final AtomicLong now = new AtomicLong(-5);
  private final FillOrder order = order(10 * MILLI);

  @BeforeEach
  void nothingIsCopied() {
    order.copy(List.of());
  }

  @Test
  void theRestWaitsUntilItIsKnownWhatIsCopied() {
    FillOrder fresh = order(1);
    fresh.want(1);
    assertEquals(new Filler.Chunk(1), fresh.next(0));
    fresh.hurry();
    assertEquals(YET, fresh.next(0));
    fresh.copy(List.of());
    assertTrue(fresh.next(0) instanceof Filler.Chunk);
  }

  @Test
  void whatIsWaitedForComesBeforeWhatStartsReadAndThatBeforeTheRest() {
    now.addAndGet(1000 * MILLI);
    order.expect(List.of(40, 41));
    order.wantLater(60);
    order.want(7);
    order.want(3);
    assertEquals(List.of(7, 3), take(2));
    assertEquals(Set.of(40, 41), new TreeSet<>(take(2)));
    assertEquals(List.of(60), take(1));
    assertEquals(YET, order.next(2), "the rest is not to be in the way");
    order.settled(7);
    order.settled(3);
    now.addAndGet(1000 * MILLI);
    assertEquals(21, takeAll().size(), "one, and what the rest may make up for in 200 ms");
  }

  @Test
  void everyChunkIsTakenOnceAndThenThereIsNoMore() {
    order.hurry();
    order.want(5);
    order.expect(List.of(5, 6, 7));
    Set<Integer> taken = new TreeSet<>(takeAll());
    assertEquals(CHUNKS, taken.size());
    assertEquals(MORE, order.next(0));
    taken.forEach(order::settled);
    order.want(5);
    assertEquals(MORE, order.next(0));
  }

  @Test
  void theFirstSecondBelongsToTheStart() {
    now.addAndGet(990 * MILLI);
    order.expect(List.of(3));
    assertEquals(List.of(3), take(1));
    assertEquals(YET, order.next(0));
    now.addAndGet(20 * MILLI);
    assertEquals(1, take(1).size());
  }

  @Test
  void theRestKeepsToItsRate() {
    now.addAndGet(1000 * MILLI);
    takeAll();
    int count = 0;
    for (int i = 0; i < 500; i++) {
      now.addAndGet(MILLI);
      for (int chunk : takeAll()) {
        order.settled(chunk);
        count++;
      }
    }
    assertTrue(count >= 48 && count <= 52, count + " chunks of 10 ms in 500 ms");
  }

  @Test
  void whoJustGotAChunkIsExpectedBack() {
    now.addAndGet(1000 * MILLI);
    order.want(1);
    assertEquals(List.of(1), take(1));
    order.settled(1);
    now.addAndGet(100 * MILLI);
    assertEquals(YET, order.next(2));
    now.addAndGet(150 * MILLI);
    assertEquals(1, take(1).size());
  }

  @Test
  void whatIsCopiedIsNotFetchedUnlessTheCopyFails() {
    order.hurry();
    List<Integer> copied = List.of(10, 11, 12, 13);
    order.copy(copied);
    order.want(12);
    assertEquals(CHUNKS - 4, takeAll().size());
    assertEquals(YET, order.next(0));
    assertEquals(OptionalInt.of(12), order.nextCopy());
    order.settled(12);
    int next = order.nextCopy().getAsInt();
    order.uncopied(next);
    assertEquals(List.of(next), takeAll());
    order.settled(order.nextCopy().getAsInt());
    order.settled(order.nextCopy().getAsInt());
    assertEquals(OptionalInt.empty(), order.nextCopy());
    assertEquals(MORE, order.next(0));
  }

  @Test
  void whatWouldHaveBeenCopiedIsFetchedWhenThereIsNoCopying() {
    order.hurry();
    order.copy(List.of(10, 11, 12, 13));
    order.nextCopy();
    order.beginAnew();
    order.copyNothing();
    assertEquals(CHUNKS, takeAll().size());
    assertEquals(MORE, order.next(0));
  }

  @Test
  void whatWasUnderWayWhenItBrokeOffIsTakenAgain() {
    order.hurry();
    order.want(9);
    takeAll().stream().filter(chunk -> chunk % 2 == 0).forEach(order::settled);
    order.beginAnew();
    List<Integer> again = takeAll();
    assertEquals(9, again.get(0));
    assertEquals(CHUNKS / 2, again.size());
  }

  private FillOrder order(long restNanosPerChunk) {
    BitSet missing = new BitSet();
    missing.set(0, CHUNKS);
    return new FillOrder(missing, restNanosPerChunk, now::get);
  }

  private List<Integer> take(int count) {
    List<Integer> taken = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      taken.add(((Filler.Chunk) order.next(i)).place());
    }
    return taken;
  }

  private List<Integer> takeAll() {
    List<Integer> taken = new ArrayList<>();
    for (Filler.Next next = order.next(0);
        next instanceof Filler.Chunk chunk;
        next = order.next(0)) {
      taken.add(chunk.place());
    }
    return taken;
  }
}
