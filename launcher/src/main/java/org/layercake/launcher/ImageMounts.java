package org.layercake.launcher;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.layercake.store.Digest;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One read-only mount per image and node, shared by all jobs, served by an unprivileged image
 * server. A mount lives while somebody holds it.
 */
final class ImageMounts {
  private static final Logger log = LoggerFactory.getLogger(ImageMounts.class);
  private static final long MOUNT_TIMEOUT_MILLIS = 20_000;
  private static final String SERVER_SUFFIX = ".server";

  /** A mounted image. Closing it twice is harmless. */
  final class Mount implements AutoCloseable {
    private final Digest digest;
    private final Served served;
    private boolean held = true;

    private Mount(Digest digest, Served served) {
      this.digest = digest;
      this.served = served;
    }

    Path directory() {
      return layout.mountPoint(digest);
    }

    @Override
    public void close() {
      synchronized (ImageMounts.this) {
        if (!held) {
          return;
        }
        held = false;
        served.holds--;
        if (served.holds == 0) {
          end(digest, served);
        }
      }
    }
  }

  /** One image server and how many hold its mount; guarded by the enclosing object. */
  private static final class Served {
    private final ProcessHandle server;
    private int holds;

    private Served(ProcessHandle server) {
      this.server = server;
    }
  }

  private final CacheLayout layout;
  private final Path imageServer;
  private final Map<Digest, CompletableFuture<Served>> mounted = new HashMap<>(); // guarded by this

  ImageMounts(CacheLayout layout, Path imageServer) {
    this.layout = layout;
    this.imageServer = imageServer;
  }

  /**
   * Mounts an image, or takes part in the mount that is there. Images are mounted independently:
   * one that makes its server hang delays nobody else.
   *
   * @param image on this node, or on its way here
   */
  Mount mount(Digest digest, ImageCache.Lease image) throws Abort, InterruptedException {
    while (true) {
      CompletableFuture<Served> mine = null;
      CompletableFuture<Served> flight;
      synchronized (this) {
        flight = mounted.get(digest);
        if (flight == null || hasDied(digest, flight)) {
          mine = new CompletableFuture<>();
          flight = mine;
          mounted.put(digest, mine);
        }
      }
      if (mine != null) {
        serve(digest, image, mine);
      }
      Mount mount = hold(digest, flight);
      if (mount != null) {
        return mount;
      }
    }
  }

  /** Takes part in a mount that an earlier launcher made, or returns null if it is not served. */
  Mount mountedBefore(Digest digest) throws Abort, InterruptedException {
    CompletableFuture<Served> flight;
    synchronized (this) {
      flight =
          mounted.computeIfAbsent(
              digest,
              d ->
                  findServer(d)
                      .map(server -> CompletableFuture.completedFuture(new Served(server)))
                      .orElse(null));
    }
    return flight == null ? null : hold(digest, flight);
  }

  /** Waits for a mount and holds it; null when it has ended meanwhile. */
  private Mount hold(Digest digest, CompletableFuture<Served> flight)
      throws Abort, InterruptedException {
    try {
      Served served = flight.get();
      synchronized (this) {
        if (mounted.get(digest) != flight) {
          return null;
        }
        served.holds++;
        return new Mount(digest, served);
      }
    } catch (ExecutionException e) {
      throw (Abort) e.getCause();
    }
  }

  private static boolean hasDied(Digest digest, CompletableFuture<Served> flight) {
    boolean died = flight.isDone() && !flight.join().server.isAlive();
    if (died) {
      log.warn("event=imageserver-died digest={}", digest);
    }
    return died;
  }

  /** Ends the mounts that an earlier launcher left and no job holds. */
  synchronized void endUnused() throws IOException {
    try (Stream<Path> entries = Files.list(layout.mounts())) {
      for (Path entry : entries.filter(path -> !path.toString().endsWith(SERVER_SUFFIX)).toList()) {
        Digest digest = digestOf(entry);
        if (digest != null && !mounted.containsKey(digest)) {
          findServer(digest).ifPresent(ProcessHandle::destroyForcibly);
          unmount(digest);
        }
      }
    }
  }

  private void serve(Digest digest, ImageCache.Lease image, CompletableFuture<Served> flight)
      throws InterruptedException {
    Abort failure;
    try {
      flight.complete(serve(digest, image));
      return;
    } catch (Abort e) {
      failure = e;
    } catch (InterruptedException | RuntimeException e) {
      forget(digest, flight, new Abort(Abort.INTERNAL, "mounting was cut short: " + e, e));
      throw e;
    }
    forget(digest, flight, failure);
  }

  private synchronized void forget(Digest digest, CompletableFuture<Served> flight, Abort failure) {
    mounted.remove(digest, flight);
    flight.completeExceptionally(failure);
  }

  private Served serve(Digest digest, ImageCache.Lease image) throws Abort, InterruptedException {
    try {
      unmount(digest); // what a server that died has left
      Files.createDirectories(layout.mountPoint(digest));
    } catch (IOException e) {
      throw new Abort(Abort.INTERNAL, "cannot prepare the mount of an image: " + e.getMessage(), e);
    }
    Program server = image.serve((file, filling) -> start(digest, file, filling));
    // The end of a server that hangs in a hostile image ends the wait for it.
    CompletableFuture<Void> watchdog =
        CompletableFuture.runAsync(
            server.handle()::destroyForcibly,
            CompletableFuture.delayedExecutor(
                MOUNT_TIMEOUT_MILLIS + image.patienceMillis(), TimeUnit.MILLISECONDS));
    try {
      Files.readAttributes(layout.mountPoint(digest), "isDirectory"); // waits for the server
      Files.writeString(serverFile(digest), server.id() + "\n");
      return new Served(server.handle());
    } catch (IOException e) {
      server.handle().destroyForcibly();
      detachQuietly(digest);
      throw new Abort(
          Abort.BAD_DATA,
          "cannot mount the image: it is not a readable squashfs file: "
              + server.lastWords()
              + " (push it again)",
          e);
    } finally {
      watchdog.cancel(false);
    }
  }

  /** Starts an image server on a file, with the arguments that it needs while that is filled. */
  interface ServerStart {
    Program with(Path file, List<String> filling) throws Abort, InterruptedException;
  }

  private Program start(Digest digest, Path file, List<String> filling)
      throws Abort, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(imageServer.toString());
    command.add(file.toString());
    command.add(layout.mountPoint(digest).toString());
    command.addAll(filling);
    return Program.start(command, "mounted", MOUNT_TIMEOUT_MILLIS);
  }

  /** Whether the image server that an earlier launcher started for an image still runs. */
  boolean isServed(Digest digest) {
    return findServer(digest).isPresent();
  }

  private void end(Digest digest, Served served) {
    // Other mount namespaces may hold copies of the mount: only the server's end ends them all.
    CompletableFuture<Served> flight = mounted.get(digest);
    if (flight != null && flight.getNow(null) == served) {
      mounted.remove(digest);
      detachQuietly(digest);
    }
    served.server.destroyForcibly();
    log.info("event=unmount digest={}", digest);
  }

  private void detachQuietly(Digest digest) {
    try {
      unmount(digest);
    } catch (IOException e) {
      log.warn("event=unmount-failed digest={}", digest, e);
    }
  }

  private void unmount(Digest digest) throws IOException {
    Libc.detach(layout.mountPoint(digest));
    Files.deleteIfExists(layout.mountPoint(digest));
    Files.deleteIfExists(serverFile(digest));
  }

  private Optional<ProcessHandle> findServer(Digest digest) {
    try {
      return ProcessId.parse(Files.readString(serverFile(digest))).find();
    } catch (IOException | RuntimeException e) {
      return Optional.empty();
    }
  }

  private Path serverFile(Digest digest) {
    return layout.mounts().resolve(digest.hex() + SERVER_SUFFIX);
  }

  private static Digest digestOf(Path mountPoint) {
    try {
      return Digest.parse("sha256:" + mountPoint.getFileName());
    } catch (Exception e) {
      log.warn("event=stray-file path={}", mountPoint);
      return null;
    }
  }
}
