package org.layercake.launcher.job;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Which jobs were released lately. Requests are worked off by many threads; one that came before
 * its job was released, but is worked off after, must not bring the job back. One that came later
 * may: a requeued job keeps its id.
 */
final class Releases {
  // Far more jobs than end on a node while a request waits to be worked off.
  private static final int MAX_JOBS = 4096;

  private final Map<Long, Long> arrivals =
      new LinkedHashMap<>() {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, Long> eldest) {
          return size() > MAX_JOBS;
        }
      };

  /**
   * Notes that a job was released.
   *
   * @param arrival of the request that said so
   */
  synchronized void add(long job, long arrival) {
    Long before = arrivals.remove(job); // to be the youngest again
    arrivals.put(job, before == null ? arrival : Math.max(before, arrival));
  }

  /** Whether the job was released after a request had come. */
  synchronized boolean cameAfter(long job, long arrival) {
    return arrivals.getOrDefault(job, 0L) > arrival;
  }
}
