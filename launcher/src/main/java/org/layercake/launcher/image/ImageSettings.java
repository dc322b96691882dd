package org.layercake.launcher.image;

import java.nio.file.Path;
import org.layercake.store.StoreConfig;

/**
 * What a node's images need to be told.
 *
 * @param limits what the node cache may hold, and what of it one user's jobs
 * @param instantStart whether images can be read while they are still being fetched
 * @param imageServer the program that serves a mount
 * @param memoryBytes what all image servers together may use
 */
public record ImageSettings(
    StoreConfig store,
    Path cacheDirectory,
    Path runDirectory,
    Limits limits,
    Pace pace,
    boolean instantStart,
    Path imageServer,
    long memoryBytes) {

  /**
   * How much of the node the images may take.
   *
   * @param budgetBytes all images together
   * @param userPercent of the budget, what one user's jobs may hold
   * @param userImages how many images one user's jobs may hold
   */
  public record Limits(long budgetBytes, int userPercent, int userImages) {
    long userBytes() {
      return budgetBytes / 100 * userPercent + budgetBytes % 100 * userPercent / 100;
    }
  }

  /**
   * How images are filled.
   *
   * @param restBytesPerSecond the most that is fetched of what nobody waits for
   * @param waitSeconds how long a reader waits for one chunk before it gets an I/O error
   */
  public record Pace(long restBytesPerSecond, int waitSeconds) {
    long restNanos(long bytes) {
      return Math.multiplyExact(bytes, 1_000_000_000L) / restBytesPerSecond;
    }
  }
}
