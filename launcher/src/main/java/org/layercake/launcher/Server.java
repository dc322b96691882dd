package org.layercake.launcher;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The launcher's socket: accepts until closed, one thread for each client that waits. */
final class Server implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Server.class);
  private static final int BACKLOG = 1024;
  private static final int MAX_SESSIONS = 2048;
  private static final long IDLE_THREAD_SECONDS = 10;
  private static final long CLOSE_SECONDS = 5;

  private final Path socket;
  private final Jobs jobs;
  private final int listening;
  private final ExecutorService sessions;

  /**
   * Opens the socket, which replaces a stale one.
   *
   * @throws IOException when the path cannot be bound
   */
  Server(CacheLayout layout, Jobs jobs) throws IOException {
    this.socket = layout.socket();
    this.jobs = jobs;
    Files.deleteIfExists(socket);
    this.listening = Libc.listen(socket, BACKLOG);
    Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-rw-rw-"));
    AtomicLong number = new AtomicLong();
    this.sessions =
        new ThreadPoolExecutor(
            0,
            MAX_SESSIONS,
            IDLE_THREAD_SECONDS,
            TimeUnit.SECONDS,
            new SynchronousQueue<>(),
            task -> new Thread(task, "session-" + number.incrementAndGet()),
            (task, pool) -> task.run()); // too many at once: the accepting thread lends a hand
  }

  /** Accepts clients until {@link #close}. */
  void serve() throws IOException {
    for (int fd = Libc.accept(listening); fd >= 0; fd = Libc.accept(listening)) {
      sessions.execute(new Session(fd, jobs));
    }
  }

  /** Makes {@link #serve} return; may be called from any thread. */
  void stopAccepting() {
    Libc.shutdown(listening);
  }

  /** Stops accepting, lets sessions finish for a few seconds; jobs are left alone. */
  @Override
  public void close() throws IOException {
    stopAccepting();
    sessions.shutdown();
    try {
      if (!sessions.awaitTermination(CLOSE_SECONDS, TimeUnit.SECONDS)) {
        log.info("event=sessions-cut-off");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    Files.deleteIfExists(socket);
  }
}
