package org.layercake.launcher;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.RejectedExecutionException;
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
  // More tasks than a node starts at once; no user can take all threads, and none root's.
  private static final int MAX_SESSIONS_OF_A_USER = 1024;
  private static final int MAX_SESSIONS_OF_USERS = 4096;
  private static final int MAX_SESSIONS = MAX_SESSIONS_OF_USERS + 1024;
  private static final long IDLE_THREAD_SECONDS = 10;
  private static final long CLOSE_SECONDS = 5;

  private final Path socket;
  private final Jobs jobs;
  private final int listening;
  private final ExecutorService sessions;
  private final Map<Long, Integer> waiting = new HashMap<>(); // by uid, guarded by itself

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
            new ThreadPoolExecutor.AbortPolicy());
  }

  /** Accepts clients until {@link #close}. */
  void serve() throws IOException {
    for (int fd = Libc.accept(listening); fd >= 0; fd = Libc.accept(listening)) {
      start(fd);
    }
  }

  private void start(int fd) {
    try {
      Libc.Peer peer = Libc.peer(fd);
      if (admit(peer.uid())) {
        try {
          sessions.execute(new Session(fd, peer, jobs, () -> leave(peer.uid())));
          return;
        } catch (RejectedExecutionException e) {
          leave(peer.uid());
        }
      }
      log.warn("event=too-many-clients uid={}", peer.uid());
    } catch (IOException e) {
      log.debug("event=client-gone cause={}", e.getMessage());
    }
    Libc.close(fd);
  }

  private boolean admit(long uid) {
    synchronized (waiting) {
      int his = waiting.getOrDefault(uid, 0);
      int all = waiting.values().stream().mapToInt(Integer::intValue).sum();
      if (uid != 0 && (his >= MAX_SESSIONS_OF_A_USER || all >= MAX_SESSIONS_OF_USERS)) {
        return false;
      }
      waiting.put(uid, his + 1);
      return true;
    }
  }

  private void leave(long uid) {
    synchronized (waiting) {
      waiting.computeIfPresent(uid, (u, count) -> count == 1 ? null : count - 1);
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
