package org.layercake.launcher.job;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.Libc;
import org.layercake.launcher.node.PrivateDirectory;
import org.layercake.store.ExitCode;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What jobs change of their images: for each job and image an overlay, whose upper layer is in
 * memory that is charged to whoever writes, or on a disk of the site's. All containers of the job
 * that may write have the same overlay, because two must not share an upper layer (overlayfs(5)).
 * It outlives holders and launchers.
 *
 * <p>In the directory, JOB/IMAGE/layer is a mount with both halves of the upper layer, and
 * JOB/IMAGE/root-SERVER the overlay, of which there is another when the image has another server.
 */
final class Changes {
  private static final Logger log = LoggerFactory.getLogger(Changes.class);

  /** An inode for each so many bytes: many small files are usual. */
  private static final long BYTES_PER_INODE = 1024;

  private static final long MIN_INODES = 4096;

  /** What of an image's files goes where is never the image's to say. A kernel may know less. */
  private static final List<String> OPTIONS =
      List.of(",redirect_dir=on,metacopy=off,index=off", ",redirect_dir=on", "");

  private final Path directory;
  private final Optional<ChangesDisk> disk;
  private final Map<Path, CompletableFuture<Path>> roots = new ConcurrentHashMap<>();

  /** By uid. A disk that hangs under one user's layer keeps nobody else waiting. */
  private final Map<Long, Object> locks = new ConcurrentHashMap<>();

  Changes(Path directory, Optional<ChangesDisk> disk) {
    this.directory = directory;
    this.disk = disk;
  }

  void prepare() throws IOException {
    PrivateDirectory.make(directory);
  }

  /**
   * The image as the job has changed it, mounted for reading and writing.
   *
   * @param job a name that no other job has had since the node was booted
   * @param bytes how much the changes may take; counts when they begin
   */
  Path root(String job, Images.Mounted image, long uid, long gid, long bytes)
      throws Abort, InterruptedException {
    Path place = directory.resolve(job).resolve(image.directory().getFileName());
    Path root = place.resolve("root-" + image.server());
    CompletableFuture<Path> mine = new CompletableFuture<>();
    CompletableFuture<Path> theirs = roots.putIfAbsent(root, mine);
    if (theirs != null) {
      return await(theirs);
    }
    try {
      synchronized (locks.computeIfAbsent(uid, user -> new Object())) { // taken() counts it next
        makeLayer(place.resolve("layer"), uid, gid, bytes);
      }
      if (!isMounted(root)) { // else an earlier launcher has mounted it
        Files.createDirectories(root);
        mountOverlay(image.directory(), place.resolve("layer"), root);
      }
      mine.complete(root);
    } catch (Exception | Error e) { // nobody may wait for ever
      roots.remove(root);
      mine.completeExceptionally(e instanceof IOException failure ? cannotMake(failure) : e);
    }
    return await(mine);
  }

  private static Path await(CompletableFuture<Path> root) throws Abort, InterruptedException {
    try {
      return root.get();
    } catch (ExecutionException e) {
      throw Abort.of(e.getCause());
    }
  }

  private Abort cannotMake(IOException e) {
    boolean full = StoreException.saysNoRoom(e);
    return new Abort(
        full ? ExitCode.FULL : ExitCode.INTERNAL,
        "cannot make the image writable: "
            + e.getMessage()
            + (full ? " (tell the site: \"" + directory + "\" is full)" : " (tell the site)"),
        e);
  }

  private void makeLayer(Path layer, long uid, long gid, long bytes)
      throws IOException, Abort, InterruptedException {
    if (isMounted(layer)) {
      if (Files.exists(layer.resolve("work"))) { // made last
        return;
      }
      Libc.detach(layer); // a launcher was killed while it made it
    }
    Files.createDirectories(layer);
    if (disk.isPresent()) {
      disk.get().mount(layer, uid, gid, bytes, taken(uid));
    } else {
      mountMemory(layer, uid, gid, bytes);
    }
  }

  /** How much of the disk the user's jobs have already. */
  private long taken(long uid) throws IOException {
    long taken = 0;
    for (Path job : list(directory)) {
      if (job.getFileName().toString().contains("." + uid + ".")) { // Job.changes()
        for (Path image : list(job)) {
          Path layer = image.resolve("layer");
          if (isMounted(layer) && !Files.getFileStore(layer).type().equals("tmpfs")) {
            taken += Files.getFileStore(layer).getTotalSpace();
          }
        }
      }
    }
    return taken;
  }

  private static void mountMemory(Path layer, long uid, long gid, long bytes) throws IOException {
    long inodes = Math.max(MIN_INODES, bytes / BYTES_PER_INODE);
    Libc.mount("layercake", layer, "tmpfs", "mode=0700,size=" + bytes + ",nr_inodes=" + inodes);
    Path upper = Files.createDirectory(layer.resolve("upper"));
    // The container's root directory has this mode; a umask may have closed it.
    Files.setPosixFilePermissions(upper, PosixFilePermissions.fromString("rwxr-xr-x"));
    Files.setAttribute(upper, "unix:uid", (int) uid);
    Files.setAttribute(upper, "unix:gid", (int) gid);
    Files.createDirectory(layer.resolve("work"));
  }

  private static boolean isMounted(Path path) throws IOException {
    try {
      return !Files.getAttribute(path, "unix:dev")
          .equals(Files.getAttribute(path.getParent(), "unix:dev"));
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  private static void mountOverlay(Path image, Path layer, Path root) throws IOException {
    String layers =
        String.format("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", image, layer, layer);
    IOException refused = null;
    for (String options : OPTIONS) {
      try {
        Libc.mount("overlay", root, "overlay", layers + options);
        return;
      } catch (IOException e) {
        refused = e;
      }
    }
    throw refused;
  }

  /** Forgets what a job has changed. Tasks that are still ending keep it until they have. */
  void end(String job) {
    Path place = directory.resolve(job);
    roots.keySet().removeIf(root -> root.startsWith(place));
    remove(place);
  }

  /** Forgets what all others have changed, of which an earlier launcher did not hear the end. */
  void endAllBut(Set<String> jobs) throws IOException {
    for (Path place : list(directory)) {
      if (!jobs.contains(place.getFileName().toString())) {
        remove(place);
      }
    }
  }

  private static void remove(Path job) {
    try {
      for (Path image : list(job)) {
        // Overlays before the layer below them, whose name comes first.
        for (Path mount : list(image).stream().sorted(Comparator.reverseOrder()).toList()) {
          Libc.detach(mount);
          Files.delete(mount);
        }
        Files.delete(image);
      }
      Files.deleteIfExists(job);
    } catch (IOException e) {
      Event.CHANGES_LEFT
          .on(log)
          .addKeyValue("directory", job)
          .addKeyValue("cause", e.toString())
          .log();
    }
  }

  private static List<Path> list(Path directory) throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.toList();
    } catch (NoSuchFileException e) {
      return List.of();
    }
  }
}
