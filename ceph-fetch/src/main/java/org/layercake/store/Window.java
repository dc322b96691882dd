package org.layercake.store;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;

/**
 * How many reads a fetch has in flight: as many as shorten it, not as many as only queue longer.
 *
 * <p>After TCP Vegas (Brakmo, O'Malley and Peterson, 1994): of N reads in flight, N × (1 − least ÷
 * cost) do nothing but wait, where cost is what a read takes now and least what it took at best.
 * While few wait, more in flight give more throughput; when many do, they only stand in the way of
 * the other nodes. Times are measured in rounds, of reads that began when the window had its
 * present size and was full: a fetch that asks for little learns nothing.
 */
final class Window {
  /** Keeps four OSDs or disks busy; thousands of nodes may have that much each. */
  static final int LEAST = 4;

  /** At 1 MiB a chunk, what 100 Gbit/s carry in 2.5 ms. */
  static final int MOST = 32;

  /** Chunks differ sixteen-fold in length: the median of fewer would be chance. */
  private static final int LEAST_ROUND = 16;

  /**
   * A read takes a time for itself and one for each byte, and which is the greater differs from
   * pool to pool: taken as if the first were that of a middling chunk, neither kind misleads.
   */
  private static final int BYTES_OF_A_READ = 1 << 20;

  /** Vegas's alpha and beta, which are 2 and 4, as shares of a window: latencies here vary more. */
  private static final int FEW = 2;

  private static final int FEW_SHARE = 4;

  /**
   * So often the best time is measured again, with a small window so that our own queue is gone, as
   * BBR does (Cardwell et al., 2016): the pool may have become slower, or have been busy before.
   */
  private static final long PROBE_NANOS = TimeUnit.SECONDS.toNanos(10);

  /** No queue of an OSD that works is as long: something is down. */
  private static final long LATE_NANOS = TimeUnit.SECONDS.toNanos(10);

  private final double[] costs = new double[MOST];
  private int size = LEAST;
  private int round;
  private int measured;
  private double least = Double.POSITIVE_INFINITY;
  private boolean doubling = true;
  private boolean probing = true;
  private int sizeBefore = LEAST;
  private long probedNanos;

  /** A read under way. */
  record Start(long nanos, int round, boolean counts) {}

  synchronized int size() {
    return size;
  }

  /**
   * A read begins.
   *
   * @param reading how many are in flight, this one included
   */
  synchronized Start start(int reading, long nowNanos) {
    return new Start(nowNanos, round, reading >= size);
  }

  /** A read has ended well. */
  synchronized void end(Start start, int bytes, long nowNanos) {
    long nanos = nowNanos - start.nanos();
    if (nanos >= LATE_NANOS) {
      doubling = false;
      resize(LEAST);
    } else if (start.counts() && start.round() == round) {
      costs[measured++] = (double) nanos / (BYTES_OF_A_READ + bytes);
      if (measured >= Math.max(LEAST_ROUND, size)) {
        // One slow OSD among many is no reason to ask the others less: not the mean.
        Arrays.sort(costs, 0, measured);
        adapt(costs[measured / 2], nowNanos);
      }
    }
  }

  private void adapt(double cost, long nowNanos) {
    if (probing) {
      probing = false;
      least = cost;
      probedNanos = nowNanos;
      resize(doubling ? 2 * sizeBefore : sizeBefore);
    } else if (nowNanos - probedNanos >= PROBE_NANOS) {
      probing = true;
      sizeBefore = size;
      resize(LEAST);
    } else {
      least = Math.min(least, cost);
      resize(better(cost));
    }
  }

  private int better(double cost) {
    double useful = size * least / cost;
    double waiting = size - useful;
    int few = Math.max(FEW, size / FEW_SHARE);
    if (waiting < few) {
      return doubling ? 2 * size : size + 1;
    }
    boolean tooFar = doubling || waiting > 2 * few;
    doubling = false;
    return tooFar ? Math.max(size / 2, (int) useful + few) : size;
  }

  /** Begins a round. */
  private void resize(int wanted) {
    size = Math.max(LEAST, Math.min(MOST, wanted));
    round++;
    measured = 0;
  }
}
