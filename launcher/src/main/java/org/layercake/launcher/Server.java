package org.layercake.launcher;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import jnr.ffi.Pointer;
import org.layercake.launcher.job.Jobs;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.Libc;
import org.layercake.launcher.node.UnixSocket;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The launcher's socket: accepts until closed, one thread for each user's client that waits.
 *
 * <p>The kernel has one queue of clients for all, so taking from it must never wait for anything:
 * users beyond their limit are shut out at once, root's requests are a few threads' of their own,
 * and what runs out on the node (descriptors, threads) costs the client at hand and no more.
 */
final class Server implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Server.class);
  private static final int BACKLOG = 4096;
  // More tasks than a node starts at once.
  private static final Limits LIMITS = new Limits(1024, 4096);
  private static final int ROOT_THREADS = 8;
  private static final int MAX_WAITING_OF_ROOT = 16_384;
  private static final long IDLE_THREAD_SECONDS = 10;
  private static final int EXHAUSTED_MILLIS = 20;
  private static final long CLOSE_SECONDS = 3;

  /** How many clients may wait: no user can take all threads, and none root's. */
  record Limits(int ofOneUser, int ofAllUsers) {}

  private final Limits limits;
  private final Path socket;
  private final boolean ours; // whether the socket's path is ours to make and remove
  private final Jobs jobs;
  private final int listening;
  private final int[] stopPipe = UnixSocket.pipe();
  private final AtomicBoolean stopped = new AtomicBoolean();
  private final ThreadPoolExecutor users;
  private final ThreadPoolExecutor root;
  private final Unread unread = new Unread();
  private final Set<Session> open = ConcurrentHashMap.newKeySet();
  private final Map<Long, Integer> waiting = new HashMap<>(); // by uid, guarded by itself
  private int waitingOfUsers; // guarded by waiting
  private int spare = -1; // of the thread that serves

  /**
   * Opens the socket, which replaces a stale one, or takes over the one that systemd holds.
   *
   * @param socket its path
   * @param given empty when nobody holds one
   * @throws IOException when the path cannot be bound
   */
  Server(Path socket, Jobs jobs, OptionalInt given) throws IOException {
    this(socket, jobs, given, LIMITS);
  }

  /** The same with other limits. */
  Server(Path socket, Jobs jobs, OptionalInt given, Limits limits) throws IOException {
    this.limits = limits;
    this.socket = socket;
    this.jobs = jobs;
    this.ours = given.isEmpty();
    if (ours) {
      Files.deleteIfExists(socket);
      this.listening = UnixSocket.listen(socket, BACKLOG);
      Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rw-rw-rw-"));
    } else {
      this.listening = given.getAsInt();
    }
    AtomicLong number = new AtomicLong();
    this.users =
        new ThreadPoolExecutor(
            0,
            limits.ofAllUsers(),
            IDLE_THREAD_SECONDS,
            TimeUnit.SECONDS,
            new SynchronousQueue<>(),
            task -> new Thread(() -> runPreferred(task), "session-" + number.incrementAndGet()),
            new ThreadPoolExecutor.AbortPolicy());
    this.root =
        new ThreadPoolExecutor(
            ROOT_THREADS,
            ROOT_THREADS,
            0,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(MAX_WAITING_OF_ROOT),
            task -> new Thread(() -> runPreferred(task), "root-" + number.incrementAndGet()),
            new ThreadPoolExecutor.AbortPolicy());
    root.prestartAllCoreThreads(); // when threads run out, root's are there
  }

  private static void runPreferred(Runnable task) {
    Libc.prefer();
    task.run();
  }

  /** Accepts clients until {@link #stopAccepting}. */
  void serve() throws IOException {
    Libc.preferWithHeirs(); // who starts a thread waits until it runs
    Pointer watched = UnixSocket.watched(stopPipe[0], listening);
    while (!UnixSocket.await(watched, 2, -1)) {
      acceptAll(watched);
    }
  }

  private void acceptAll(Pointer watched) throws IOException {
    while (!stopped.get()) {
      keepSpare();
      int fd = UnixSocket.accept(listening);
      if (fd == UnixSocket.NOBODY) {
        return;
      }
      if (fd == UnixSocket.EXHAUSTED) {
        fd = acceptInPlaceOfSpare();
      }
      if (fd >= 0) {
        start(fd);
      } else if (UnixSocket.await(watched, 1, EXHAUSTED_MILLIS)) {
        return; // told to stop; else what ran out may be there again
      }
    }
  }

  /** One descriptor that is given up when there is no other. */
  private void keepSpare() {
    if (spare < 0) {
      spare = Libc.openOrNone("/dev/null");
    }
  }

  /** Out of descriptors: who waits first is taken all the same, so that root is not behind him. */
  private int acceptInPlaceOfSpare() throws IOException {
    if (spare >= 0) {
      Libc.close(spare);
      spare = -1;
    }
    int fd = UnixSocket.accept(listening);
    if (fd < 0) {
      return fd;
    }
    long uid = UnixSocket.peer(fd).uid();
    Event.OUT_OF_DESCRIPTORS.on(log).addKeyValue("uid", uid).log();
    if (uid != 0) {
      Libc.close(fd); // the client asks anew, for some seconds
      return UnixSocket.EXHAUSTED;
    }
    return fd;
  }

  private void start(int fd) {
    Session session = null;
    try {
      UnixSocket.Peer peer = UnixSocket.peer(fd);
      long arrival = jobs.arrival();
      if (peer.uid() == 0) {
        session = new Session(fd, peer, arrival, jobs, unread, open::remove);
        open.add(session);
        root.execute(session);
      } else if (admit(peer.uid())) {
        session = new Session(fd, peer, arrival, jobs, unread, ended -> leave(peer.uid(), ended));
        open.add(session);
        users.execute(session);
      } else {
        Event.TOO_MANY_CLIENTS.on(log).addKeyValue("uid", peer.uid()).log();
        Libc.close(fd);
      }
    } catch (IOException e) {
      Event.CLIENT_GONE.on(log).addKeyValue("cause", e.getMessage()).log();
      Libc.close(fd);
    } catch (RejectedExecutionException | OutOfMemoryError e) {
      // The JVM says with this error, too, that the node gives it no thread.
      Event.CLIENT_REFUSED.on(log).addKeyValue("cause", e.toString()).log();
      if (session == null) {
        Libc.close(fd);
      } else {
        session.close();
      }
    }
  }

  private boolean admit(long uid) {
    synchronized (waiting) {
      int his = waiting.getOrDefault(uid, 0);
      if (his >= limits.ofOneUser() || waitingOfUsers >= limits.ofAllUsers()) {
        return false;
      }
      waiting.put(uid, his + 1);
      waitingOfUsers++;
      return true;
    }
  }

  private void leave(long uid, Session session) {
    open.remove(session);
    synchronized (waiting) {
      waiting.computeIfPresent(uid, (u, count) -> count == 1 ? null : count - 1);
      waitingOfUsers--;
    }
  }

  /** Makes {@link #serve} return; may be called from any thread. */
  void stopAccepting() {
    if (stopped.compareAndSet(false, true)) {
      Libc.close(stopPipe[1]);
    }
  }

  /**
   * Stops accepting and hangs up on those who wait, who then ask the next launcher; root's requests
   * are carried out first. Jobs are left alone. Nobody is told of a failure, since there is none.
   */
  @Override
  public void close() throws IOException {
    stopAccepting();
    if (ours) {
      Files.deleteIfExists(socket);
    }
    open.stream().filter(session -> !session.isRoots()).forEach(Session::hangUp);
    root.shutdown();
    users.shutdown();
    try {
      boolean ended = root.awaitTermination(CLOSE_SECONDS, TimeUnit.SECONDS);
      open.forEach(Session::hangUp);
      if (!ended || !users.awaitTermination(CLOSE_SECONDS, TimeUnit.SECONDS)) {
        Event.SESSIONS_CUT_OFF.on(log).log();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    Libc.close(listening);
    Libc.close(stopPipe[0]);
    if (spare >= 0) {
      Libc.close(spare);
    }
  }
}
