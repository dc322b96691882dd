package org.layercake.launcher.node;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Threads that do not keep the launcher running. */
public final class Background {
  private static final Logger log = LoggerFactory.getLogger(Background.class);

  private Background() {}

  /**
   * Runs a task beside the caller. Nothing that it throws is lost.
   *
   * @throws OutOfMemoryError when the node lets us have no more threads
   */
  public static void start(String name, Runnable task) {
    Thread thread = new Thread(() -> run(name, task), name);
    thread.setDaemon(true);
    thread.start();
  }

  private static void run(String name, Runnable task) {
    try {
      task.run();
    } catch (Throwable e) {
      Event.FAILURE.on(log).addKeyValue("thread", name).setCause(e).log();
    }
  }
}
