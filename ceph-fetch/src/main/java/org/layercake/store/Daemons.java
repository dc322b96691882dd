package org.layercake.store;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;

/** Threads that wait for a store most of the time, and do not keep the program from its end. */
final class Daemons {
  private Daemons() {}

  /** A fixed number of them; whoever asks shuts them down. */
  static ExecutorService pool(int count, String name) {
    return Executors.newFixedThreadPool(count, named(name));
  }

  /** As many as there are tasks; those idle for a minute end. */
  static ExecutorService asNeeded(String name) {
    return Executors.newCachedThreadPool(named(name));
  }

  private static ThreadFactory named(String name) {
    return task -> {
      Thread thread = new Thread(task, name);
      thread.setDaemon(true);
      return thread;
    };
  }
}
