package org.layercake.pack;

import java.io.File;
import java.nio.file.Path;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/** Removes a file or flat directory when closed or when the program is ended by a signal. */
final class OnExit implements AutoCloseable {
  private final File path;
  private final Queue<Process> processes = new ConcurrentLinkedQueue<>();
  private final Thread hook = new Thread(this::cleanUp, "clean-up");

  OnExit(Path path) {
    this.path = path.toFile();
    Runtime.getRuntime().addShutdownHook(hook);
  }

  void watch(Process process) {
    processes.add(process);
  }

  @Override
  public void close() {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      return; // shutting down: the hook does it
    }
    cleanUp();
  }

  private void cleanUp() {
    for (Process process : processes) {
      try {
        process.destroyForcibly().waitFor();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    File[] files = path.listFiles();
    for (File file : files == null ? new File[0] : files) {
      delete(file);
    }
    delete(path);
  }

  /** What can not be removed now is left to the next boot, it is under TMPDIR. */
  private static void delete(File file) {
    if (!file.delete()) {
      file.deleteOnExit();
    }
  }
}
