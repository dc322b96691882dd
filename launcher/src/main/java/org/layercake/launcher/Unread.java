package org.layercake.launcher;

import java.util.HashMap;
import java.util.Map;
import org.layercake.launcher.node.Abort;
import org.layercake.store.ExitCode;

/**
 * Memory for requests that have come in part: bounded for each user and for all together, so that
 * clients that send a part and wait cost the launcher little.
 */
final class Unread {
  private static final int BYTES_OF_ALL = 8 << 20;
  private static final int BYTES_OF_A_USER = 1 << 20;

  private final Map<Long, Integer> taken = new HashMap<>(); // by uid, guarded by this
  private int all; // guarded by this

  /**
   * Takes memory, once there is some.
   *
   * @param deadlineNanos of {@link System#nanoTime}
   * @throws Abort when there is none by then
   */
  synchronized void take(long uid, int bytes, long deadlineNanos)
      throws Abort, InterruptedException {
    while (all + bytes > BYTES_OF_ALL || taken.getOrDefault(uid, 0) + bytes > BYTES_OF_A_USER) {
      long leftMillis = (deadlineNanos - System.nanoTime()) / 1_000_000;
      if (leftMillis <= 0) {
        throw new Abort(
            ExitCode.UNAVAILABLE,
            "cannot read the request: too many clients have sent a part of theirs and no more"
                + " (end them, then try again)");
      }
      wait(leftMillis);
    }
    all += bytes;
    taken.merge(uid, bytes, Integer::sum);
  }

  /** Gives back what {@link #take} took. */
  synchronized void give(long uid, int bytes) {
    all -= bytes;
    taken.computeIfPresent(uid, (u, his) -> his == bytes ? null : his - bytes);
    notifyAll();
  }
}
