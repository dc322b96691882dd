package org.layercake.store;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Threads that wait for a store most of the time, and do not keep the program from its end. */
final class Daemons {
  private Daemons() {}

  /** A fixed number of them; whoever asks shuts them down. */
  static ExecutorService pool(int count, String name) {
    return Executors.newFixedThreadPool(
        count,
        task -> {
          Thread thread = new Thread(task, name);
          thread.setDaemon(true);
          return thread;
        });
  }
}
