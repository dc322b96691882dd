package org.layercake.launcher.image;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.IntPredicate;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;
import org.layercake.store.Filler;

/**
 * In which order the chunks of an image are fetched: what somebody waits for, then what starts are
 * known to read, then what readers will likely want, then the rest, which comes later, is slowed
 * down and kept out of the way of those who wait. Chunks that the node has in another image are
 * kept apart: they are copied.
 */
final class FillOrder {
  /** While somebody waits, so few others are in the way. */
  private static final int OTHERS_WHILE_WAITED_FOR = 2;

  /** A reader that got a chunk will likely want another before long. */
  private static final long LIKELY_BACK_NANOS = 200_000_000;

  /**
   * So long a program takes to start. Reading, hashing and writing the rest beside it would only
   * slow it down.
   */
  private static final long START_NANOS = 1_000_000_000;

  /** What the rest may make up for: {@link #next} is not asked all the time. */
  private static final long BURST_NANOS = 200_000_000;

  /** Thousands of nodes have the same profile: not all begin with the same object. */
  private static final int SHUFFLED_TOGETHER = 16;

  private final LongSupplier nanoTime;
  private final long restNanosPerChunk;
  private final BitSet missing; // neither there nor given up
  private final BitSet taken = new BitSet(); // of these
  private final BitSet waitedFor = new BitSet();
  private final BitSet copied = new BitSet(); // to be copied
  private final ChunkQueue urgent = new ChunkQueue();
  private final ChunkQueue start = new ChunkQueue();
  private final ChunkQueue likely = new ChunkQueue();
  private final ChunkQueue rest = new ChunkQueue();
  private final ChunkQueue restCopied = new ChunkQueue();
  private boolean copiesKnown;
  private boolean hurried;
  private final long begunNanos;
  private long lastWaitNanos;
  private long restFromNanos;

  /**
   * @param missing the chunks that are not there
   * @param restNanosPerChunk how long each chunk of the rest takes at least, on average
   * @param nanoTime as {@link System#nanoTime}
   */
  FillOrder(BitSet missing, long restNanosPerChunk, LongSupplier nanoTime) {
    this.missing = (BitSet) missing.clone();
    this.restNanosPerChunk = restNanosPerChunk;
    this.nanoTime = nanoTime;
    begunNanos = nanoTime.getAsLong();
    lastWaitNanos = begunNanos; // whoever asked for the image comes soon
    restFromNanos = begunNanos;
    beginAnew();
  }

  /**
   * What was being fetched is to be fetched again. Thousands of nodes start together: in the order
   * of the file they would all queue at the same OSD.
   */
  synchronized void beginAnew() {
    taken.clear();
    rest.clear();
    restCopied.clear();
    IntStream.of(shuffled(missing.stream().toArray())).forEach(rest::add);
    keepCopiesApart();
    waitedFor.stream().forEach(urgent::add);
  }

  private static int[] shuffled(int[] chunks) {
    for (int i = chunks.length - 1; i > 0; i--) {
      int other = ThreadLocalRandom.current().nextInt(i + 1);
      int chunk = chunks[i];
      chunks[i] = chunks[other];
      chunks[other] = chunk;
    }
    return chunks;
  }

  /** What a start will read, in that order. */
  synchronized void expect(List<Integer> chunks) {
    List<Integer> mixed = new ArrayList<>(chunks);
    for (int i = 0; i < mixed.size(); i += SHUFFLED_TOGETHER) {
      Collections.shuffle(mixed.subList(i, Math.min(i + SHUFFLED_TOGETHER, mixed.size())));
    }
    mixed.forEach(start::add);
  }

  /** Somebody waits for all of it: the rest has no bounds any more. */
  synchronized void hurry() {
    hurried = true;
  }

  /** Somebody waits for this chunk. */
  synchronized void want(int chunk) {
    if (missing.get(chunk)) {
      waitedFor.set(chunk);
      urgent.add(chunk);
    }
  }

  /** Somebody will likely want this chunk soon. */
  synchronized void wantLater(int chunk) {
    if (missing.get(chunk)) {
      likely.add(chunk);
    }
  }

  /**
   * These are to be copied, as long as they are not {@link #uncopied}. Until it is said which, none
   * of the rest is fetched.
   */
  synchronized void copy(Collection<Integer> chunks) {
    copiesKnown = true;
    chunks.stream().filter(missing::get).forEach(copied::set);
    keepCopiesApart();
  }

  private void keepCopiesApart() {
    rest.moveTo(restCopied, copied::get);
  }

  /** This chunk cannot be copied after all. */
  synchronized void uncopied(int chunk) {
    copied.clear(chunk);
    if (missing.get(chunk)) {
      taken.clear(chunk);
      (waitedFor.get(chunk) ? urgent : rest).add(chunk);
    }
  }

  /** None of what is left will be copied. */
  synchronized void copyNothing() {
    copiesKnown = true;
    copied.clear();
    rest.takeAll(restCopied);
  }

  /** The chunk to copy now; empty if there is none and will be none. */
  synchronized OptionalInt nextCopy() {
    OptionalInt next = take(urgent, copied::get);
    next = next.isPresent() ? next : take(start, copied::get);
    return next.isPresent() ? next : take(restCopied, copied::get);
  }

  /**
   * The chunk to fetch now.
   *
   * @param inFlight how many are being fetched
   */
  synchronized Filler.Next next(int inFlight) {
    IntPredicate fetched = chunk -> !copied.get(chunk);
    OptionalInt next = take(urgent, fetched);
    next = next.isPresent() ? next : take(start, fetched);
    next = next.isPresent() ? next : take(likely, fetched);
    if (next.isEmpty() && copiesKnown && mayTakeRest(inFlight)) {
      next = take(rest, fetched);
      restFromNanos += next.isPresent() ? restNanosPerChunk : 0;
    }
    if (next.isPresent()) {
      return new Filler.Chunk(next.getAsInt());
    }
    boolean all = copied.isEmpty() && taken.cardinality() == missing.cardinality();
    return all ? Filler.Nothing.MORE : Filler.Nothing.YET;
  }

  private boolean mayTakeRest(int inFlight) {
    if (hurried) {
      return true;
    }
    long now = nanoTime.getAsLong();
    if (now - begunNanos < START_NANOS) {
      return false;
    }
    restFromNanos = Math.max(restFromNanos, now - BURST_NANOS);
    boolean waits = !waitedFor.isEmpty() || now - lastWaitNanos < LIKELY_BACK_NANOS;
    return restFromNanos <= now && (inFlight < OTHERS_WHILE_WAITED_FOR || !waits);
  }

  /** Takes the first of them that is of this kind, missing, and not taken. */
  private OptionalInt take(ChunkQueue chunks, IntPredicate kind) {
    OptionalInt next = chunks.take(chunk -> missing.get(chunk) && !taken.get(chunk), kind);
    next.ifPresent(taken::set);
    return next;
  }

  /** This chunk is there, or given up. */
  synchronized void settled(int chunk) {
    missing.clear(chunk);
    taken.clear(chunk);
    copied.clear(chunk);
    if (waitedFor.get(chunk)) {
      waitedFor.clear(chunk);
      lastWaitNanos = nanoTime.getAsLong();
    }
  }
}
