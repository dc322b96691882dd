package org.layercake.launcher;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
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
  private final Map<Digest, Served> mounted = new HashMap<>();

  ImageMounts(CacheLayout layout, Path imageServer) {
    this.layout = layout;
    this.imageServer = imageServer;
  }

  /**
   * Mounts an image, or takes part in the mount that is there. Mounting takes milliseconds, so one
   * lock serves all images.
   *
   * @param file the image, complete and verified
   */
  synchronized Mount mount(Digest digest, Path file) throws Abort, InterruptedException {
    Served served = mounted.get(digest);
    if (served != null && !served.server.isAlive()) {
      log.warn("event=imageserver-died digest={} pid={}", digest, served.server.pid());
      mounted.remove(digest);
      served = null;
    }
    if (served == null) {
      served = serve(digest, file);
      mounted.put(digest, served);
    }
    served.holds++;
    return new Mount(digest, served);
  }

  /** Takes part in a mount that an earlier launcher made, or returns null if it is not served. */
  synchronized Mount mountedBefore(Digest digest) {
    Served served =
        mounted.computeIfAbsent(digest, d -> findServer(d).map(Served::new).orElse(null));
    if (served == null) {
      return null;
    }
    served.holds++;
    return new Mount(digest, served);
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

  private Served serve(Digest digest, Path file) throws Abort, InterruptedException {
    try {
      unmount(digest); // what a server that died has left
      Files.createDirectories(layout.mountPoint(digest));
    } catch (IOException e) {
      throw new Abort(Abort.INTERNAL, "cannot prepare the mount of an image: " + e.getMessage(), e);
    }
    Program server =
        Program.start(
            List.of(imageServer.toString(), file.toString(), layout.mountPoint(digest).toString()),
            "mounted",
            MOUNT_TIMEOUT_MILLIS);
    try {
      Files.readAttributes(layout.mountPoint(digest), "isDirectory"); // waits for the server
      Files.writeString(
          serverFile(digest),
          server.handle().pid() + " " + Program.startMillis(server.handle()) + "\n");
      return new Served(server.handle());
    } catch (IOException e) {
      server.handle().destroyForcibly();
      detachQuietly(digest);
      throw new Abort(
          65,
          "cannot mount the image: it is not a readable squashfs file: "
              + server.lastWords()
              + " (push it again)",
          e);
    }
  }

  private void end(Digest digest, Served served) {
    // Other mount namespaces may hold copies of the mount: only the server's end ends them all.
    if (mounted.remove(digest, served)) {
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
      String[] fields = Files.readString(serverFile(digest)).strip().split(" ", 2);
      return Program.find(Long.parseLong(fields[0]), Long.parseLong(fields[1]));
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
