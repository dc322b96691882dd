package org.layercake.launcher.job;

import java.util.List;
import java.util.Map;
import org.layercake.launcher.image.ImagesStatus;

/**
 * The node at one moment.
 *
 * @param startsByCode how many containers were made since the launcher started, by exit code; 0 for
 *     those that are ready
 * @param startsUpTo how many of these took at most so many milliseconds
 * @param startMillis what these together took
 */
public record NodeStatus(
    List<OfContainer> containers,
    int jobs,
    Map<Integer, Long> startsByCode,
    Map<Long, Long> startsUpTo,
    long startMillis,
    ImagesStatus images) {

  /**
   * A container.
   *
   * @param digest empty as long as it is not known
   * @param holder its pid; 0 as long as the container is not ready
   * @param seconds how long it has been ready
   * @param progress what somebody who waits is told; empty when it is ready
   */
  public record OfContainer(
      long job, long uid, String image, String digest, long holder, long seconds, String progress) {
    public boolean isReady() {
      return holder != 0;
    }
  }
}
