package org.layercake.launcher.image;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.ProcessId;
import org.layercake.launcher.node.Program;
import org.layercake.store.ExitCode;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One read-only mount per image, user and node, shared by the user's jobs, served by an
 * unprivileged image server which says that all files are the user's. Mounts of one image read one
 * file of the cache. A mount lives while somebody holds it.
 */
final class ImageMounts {
  private static final Logger log = LoggerFactory.getLogger(ImageMounts.class);
  private static final long MOUNT_TIMEOUT_MILLIS = 20_000;

  /** A mounted image. Closing it twice is harmless. */
  final class Mount implements AutoCloseable {
    private final MountKey key;
    private final Served served;
    private boolean held = true;

    private Mount(MountKey key, Served served) {
      this.key = key;
      this.served = served;
    }

    Path directory() {
      return layout.mountPoint(key);
    }

    /** Names the process that serves it, unlike all others since the node was booted. */
    String server() {
      long started = served.server.info().startInstant().map(Instant::toEpochMilli).orElse(0L);
      return served.server.pid() + "-" + started;
    }

    /** Whether reading it can succeed. A mount whose server has died never becomes whole again. */
    boolean isAlive() {
      return served.server.isAlive();
    }

    /** Completes when the server has ended, by itself or because nobody holds the mount. */
    CompletableFuture<Void> onEnd() {
      return served.server.onExit().thenAccept(ended -> {});
    }

    /**
     * Lets go of the mount.
     *
     * @return complete when nothing of the image is held on its account
     */
    CompletableFuture<Void> release() {
      synchronized (ImageMounts.this) {
        if (held) {
          held = false;
          served.holds--;
        }
        if (served.holds > 0) {
          return CompletableFuture.completedFuture(null);
        }
        end(key, served);
      }
      return onEnd();
    }

    @Override
    public void close() {
      CompletableFuture<Void> unused = release();
    }
  }

  /** One image server and how many hold its mount; guarded by the enclosing object. */
  private static final class Served {
    private final ProcessHandle server;
    private int holds;
    private boolean ended; // by us, or its death is known

    private Served(ProcessHandle server) {
      this.server = server;
    }
  }

  private final CacheLayout layout;
  private final Path imageServer;
  private final List<String> options;
  private final Map<MountKey, CompletableFuture<Served>> mounted =
      new HashMap<>(); // guarded by this

  /**
   * @param options of all image servers, before the file
   */
  ImageMounts(CacheLayout layout, Path imageServer, List<String> options) {
    this.layout = layout;
    this.imageServer = imageServer;
    this.options = List.copyOf(options);
  }

  /**
   * Mounts an image, or takes part in the mount that is there. Images are mounted independently:
   * one that makes its server hang delays nobody else.
   *
   * @param image on this node, or on its way here
   * @param gid the group of all of its files
   */
  Mount mount(ImageCache.Lease image, long gid) throws Abort, InterruptedException {
    MountKey key = image.mountKey();
    while (true) {
      CompletableFuture<Served> mine = null;
      CompletableFuture<Served> flight;
      synchronized (this) {
        flight = mounted.get(key);
        if (flight != null && flight.isDone() && !flight.join().server.isAlive()) {
          died(key, flight);
          flight = null;
        }
        if (flight == null) {
          mine = new CompletableFuture<>();
          flight = mine;
          mounted.put(key, mine);
        }
      }
      if (mine != null) {
        serve(image, gid, mine);
      }
      Mount mount = hold(key, flight);
      if (mount != null) {
        return mount;
      }
    }
  }

  /** Takes part in a mount that an earlier launcher made, or returns null if it is not served. */
  Mount mountedBefore(MountKey key) throws Abort, InterruptedException {
    CompletableFuture<Served> flight;
    synchronized (this) {
      flight = mounted.get(key);
      ProcessHandle server = flight == null ? findServer(key).orElse(null) : null;
      if (server != null) {
        flight = CompletableFuture.completedFuture(new Served(server));
        mounted.put(key, flight);
        watch(key, flight, server);
      }
    }
    return flight == null ? null : hold(key, flight);
  }

  /** Waits for a mount and holds it; null when it has ended meanwhile. */
  private Mount hold(MountKey key, CompletableFuture<Served> flight)
      throws Abort, InterruptedException {
    try {
      Served served = flight.get();
      synchronized (this) {
        if (mounted.get(key) != flight) {
          return null;
        }
        served.holds++;
        return new Mount(key, served);
      }
    } catch (ExecutionException e) {
      throw (Abort) e.getCause();
    }
  }

  private void watch(MountKey key, CompletableFuture<Served> flight, ProcessHandle server) {
    CompletableFuture<Void> unused = server.onExit().thenAccept(ended -> died(key, flight));
  }

  /** What a server that ended by itself leaves: nobody is to be given its mount any more. */
  private synchronized void died(MountKey key, CompletableFuture<Served> flight) {
    Served served = flight.join();
    if (!served.ended) {
      served.ended = true;
      key.on(Event.IMAGESERVER_DIED, log)
          .addKeyValue("pid", served.server.pid())
          .addKeyValue("holders", served.holds)
          .log();
      if (mounted.remove(key, flight)) {
        detachQuietly(key);
      }
    }
  }

  /**
   * Ends the mounts and the image servers that an earlier launcher left and nobody holds. A server
   * that it was just starting is either found here, or finds no mount point any more.
   */
  void endUnused() throws IOException {
    Set<Path> held = new HashSet<>();
    Set<Long> servers = new HashSet<>();
    synchronized (this) {
      for (Map.Entry<MountKey, CompletableFuture<Served>> entry : mounted.entrySet()) {
        held.add(layout.mountPoint(entry.getKey()));
        if (entry.getValue().isDone()) {
          servers.add(entry.getValue().join().server.pid());
        }
      }
    }
    removeAllBut(held);
    for (ProcessHandle stray : ImageServers.running(imageServer, layout.mounts())) {
      if (!servers.contains(stray.pid())) {
        Event.STRAY_IMAGESERVER.on(log).addKeyValue("pid", stray.pid()).log();
        stray.destroyForcibly();
      }
    }
    removeAllBut(held);
  }

  private void removeAllBut(Set<Path> held) throws IOException {
    for (Path mountPoint : layout.mountPoints()) {
      if (!held.contains(mountPoint)) {
        try {
          layout.removeMountPoint(mountPoint);
        } catch (IOException e) {
          Event.UNMOUNT_FAILED
              .on(log)
              .addKeyValue("path", mountPoint)
              .addKeyValue("cause", e.toString())
              .log();
        }
      }
    }
  }

  private void serve(ImageCache.Lease image, long gid, CompletableFuture<Served> flight)
      throws InterruptedException {
    try {
      Served served = serveOrAgain(image, gid);
      flight.complete(served);
      watch(image.mountKey(), flight, served.server);
    } catch (Abort e) {
      forget(image.mountKey(), flight, e);
    } catch (Throwable e) { // also an OutOfMemoryError: nobody may wait for ever
      forget(
          image.mountKey(),
          flight,
          new Abort(ExitCode.INTERNAL, "mounting was cut short: " + e, e));
      throw e;
    }
  }

  private synchronized void forget(MountKey key, CompletableFuture<Served> flight, Abort failure) {
    mounted.remove(key, flight);
    flight.completeExceptionally(failure);
  }

  /** A server may be killed while it starts, as when memory is short; another may not be. */
  private Served serveOrAgain(ImageCache.Lease image, long gid) throws Abort, InterruptedException {
    try {
      return serve(image, gid);
    } catch (Abort e) {
      if (!e.isKilled()) {
        throw e;
      }
      image.key().on(Event.IMAGESERVER_AGAIN, log).addKeyValue("cause", e.getMessage()).log();
    }
    return serve(image, gid);
  }

  private Served serve(ImageCache.Lease image, long gid) throws Abort, InterruptedException {
    MountKey key = image.mountKey();
    try {
      layout.removeMountPoint(layout.mountPoint(key)); // what a server that died has left
      Files.createDirectories(layout.mountPoint(key));
    } catch (IOException e) {
      throw cannotPrepare(e);
    }
    Program server = null;
    boolean served = false;
    try {
      server = image.serve((file, filling) -> start(key, gid, file, filling));
      awaitFirstLook(image, server);
      try {
        Files.writeString(layout.mountServer(key), server.id() + "\n");
      } catch (IOException e) {
        throw cannotPrepare(e);
      }
      served = true;
      return new Served(server.handle());
    } finally {
      if (!served) {
        if (server != null) {
          server.handle().destroyForcibly();
        }
        detachQuietly(key);
      }
    }
  }

  private Abort cannotPrepare(IOException e) {
    boolean full = StoreException.saysNoRoom(e);
    return new Abort(
        full ? ExitCode.FULL : ExitCode.INTERNAL,
        "cannot mount the image: cannot write to run directory \""
            + layout.runDirectory()
            + "\": "
            + e
            + (full ? " (tell the site: it is full)" : " (tell the site)"),
        e);
  }

  /** The server reads the image only now, or while its first chunks come. */
  private void awaitFirstLook(ImageCache.Lease image, Program server)
      throws Abort, InterruptedException {
    long limitMillis = MOUNT_TIMEOUT_MILLIS + image.patienceMillis();
    AtomicBoolean late = new AtomicBoolean();
    // The end of a server that hangs in a hostile image ends the wait for it.
    CompletableFuture<Void> watchdog =
        CompletableFuture.runAsync(
            () -> {
              late.set(true);
              server.handle().destroyForcibly();
            },
            CompletableFuture.delayedExecutor(limitMillis, TimeUnit.MILLISECONDS));
    try {
      Files.readAttributes(layout.mountPoint(image.mountKey()), "isDirectory");
    } catch (IOException e) {
      if (late.get()) {
        throw new Abort(
            ExitCode.INTERNAL,
            "cannot mount the image: its server did not answer in "
                + limitMillis / 1000
                + " s (see the launcher's log)",
            new TimeoutException());
      }
      throw ImageServers.unreadable(image, server, e);
    } finally {
      watchdog.cancel(false);
    }
  }

  /** Starts an image server on a file, with the arguments that it needs while that is filled. */
  interface ServerStart {
    Program with(Path file, List<String> filling) throws Abort, InterruptedException;
  }

  private Program start(MountKey key, long gid, Path file, List<String> filling)
      throws Abort, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(imageServer.toString());
    command.addAll(options);
    command.addAll(List.of("--owner", key.uid() + ":" + gid));
    command.add(file.toString());
    command.add(layout.mountPoint(key).toString());
    command.addAll(filling);
    return Program.start(command, "mounted", MOUNT_TIMEOUT_MILLIS);
  }

  /** Whether an image server that an earlier launcher started for an image still runs. */
  boolean isServed(ImageKey image) {
    try {
      return layout.mountsOf(image).stream().anyMatch(key -> findServer(key).isPresent());
    } catch (IOException e) {
      image.on(Event.MOUNTS_UNREADABLE, log).addKeyValue("cause", e.toString()).log();
      return true; // better than to fill its file anew under its readers
    }
  }

  /** The servers that run. */
  List<ImagesStatus.Served> status() {
    List<ImagesStatus.Served> servers = new ArrayList<>();
    synchronized (this) {
      mounted.forEach(
          (key, flight) -> {
            if (flight.isDone() && !flight.isCompletedExceptionally()) {
              Served served = flight.join();
              long pid = served.server.pid();
              servers.add(new ImagesStatus.Served(key.image(), key.uid(), pid, served.holds, 0));
            }
          });
    }
    return servers.stream().map(ImageServers::withMemory).toList();
  }

  /** Holding the lock. */
  private void end(MountKey key, Served served) {
    if (served.ended) {
      return;
    }
    served.ended = true;
    // Other mount namespaces may hold copies of the mount: only the server's end ends them all.
    CompletableFuture<Served> flight = mounted.get(key);
    if (flight != null && flight.getNow(null) == served) {
      mounted.remove(key);
      detachQuietly(key);
    }
    served.server.destroyForcibly();
    key.on(Event.UNMOUNT, log).log();
  }

  private void detachQuietly(MountKey key) {
    try {
      layout.removeMountPoint(layout.mountPoint(key));
    } catch (IOException e) {
      key.on(Event.UNMOUNT_FAILED, log).addKeyValue("cause", e.toString()).log();
    }
  }

  /** By the file that tells of it, and where that cannot be read as it is seen in proc(5). */
  private Optional<ProcessHandle> findServer(MountKey key) {
    try {
      return ProcessId.parse(Files.readString(layout.mountServer(key))).find();
    } catch (NoSuchFileException e) {
      return Optional.empty(); // nobody ever held it
    } catch (IOException | RuntimeException e) {
      key.on(Event.SERVER_UNREADABLE, log).addKeyValue("cause", e.toString()).log();
      return ImageServers.of(imageServer, layout.mountPoint(key));
    }
  }
}
