package org.layercake.pack;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.layercake.store.StoreException.Kind.FULL;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.layercake.store.Digest;
import org.layercake.store.Origin;
import org.layercake.store.StoreException;

/**
 * Where an image of a registry comes to, beside the scratch directory: by a name that the next push
 * of the same image finds. Its user alone can read it, and one push at a time has it.
 */
final class PullDirectory {
  private static final String LOCK = "lock";
  private static final String LAYOUT = "layout";
  private static final String BLOBS = "blobs/sha256";

  /** So long it is kept for the push that goes on. */
  private static final Duration LIFE = Duration.ofDays(1);

  private static final int DIGITS = 32;

  private final Path path;
  private final FileChannel lock;

  private PullDirectory(Path path, FileChannel lock) {
    this.path = path;
    this.lock = lock;
  }

  /**
   * Takes the directory of an image, and removes those of others that nobody has gone on with.
   *
   * @throws StoreException of kind UNAVAILABLE when another push has it
   */
  static PullDirectory open(Scratch scratch, Reference reference, Digest image)
      throws StoreException, IOException {
    String prefix = prefix();
    Path path = scratch.parent().resolve(prefix + image.hex().substring(0, DIGITS));
    removeOld(scratch.parent(), prefix, path);
    try {
      Files.createDirectory(
          path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    } catch (FileAlreadyExistsException e) {
      requireOwn(path);
    }
    FileChannel lock = lock(path);
    if (lock == null) {
      throw new StoreException(
          UNAVAILABLE,
          "cannot push "
              + reference
              + ": another push of yours fetches it to "
              + path
              + " (wait for its end)");
    }
    try {
      PullDirectory directory = new PullDirectory(path, lock);
      Files.createDirectories(directory.layout());
      directory.removeParts();
      return directory;
    } catch (IOException e) {
      lock.close();
      throw e;
    }
  }

  /** Not a temporary name: so it has its user in it. */
  private static String prefix() throws IOException {
    return "layercake-pull-" + Files.getAttribute(Path.of("/proc/self"), "unix:uid") + "-";
  }

  /** In a directory of others somebody may have made it before, to read or change what comes. */
  private static void requireOwn(Path path) throws IOException, StoreException {
    if (!isOwn(path)) {
      throw new StoreException(
          FULL,
          "cannot write "
              + path
              + ": somebody else has made it, or it is a link (set TMPDIR to a place of your own)");
    }
  }

  private static boolean isOwn(Path path) throws IOException {
    Map<String, Object> found = Files.readAttributes(path, "unix:uid,mode", NOFOLLOW_LINKS);
    return found.get("uid").equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"))
        && Files.isDirectory(path, NOFOLLOW_LINKS)
        && ((int) found.get("mode") & 077) == 0;
  }

  /** Null when somebody has it, or it has been removed meanwhile. */
  private static FileChannel lock(Path path) throws IOException {
    FileChannel channel =
        FileChannel.open(path.resolve(LOCK), Set.of(CREATE, WRITE, NOFOLLOW_LINKS));
    try {
      FileLock held = channel.tryLock();
      if (held != null && Files.exists(path.resolve(LOCK), NOFOLLOW_LINKS)) {
        // Its time is that of its use. To set that by the name would open and close the file, by
        // which a process gives up its locks on it, fcntl(2).
        channel.write(ByteBuffer.allocate(1), 0);
        return channel;
      }
    } catch (OverlappingFileLockException e) {
      // By this program.
    }
    channel.close();
    return null;
  }

  private static void removeOld(Path parent, String prefix, Path current) throws IOException {
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(parent, prefix + "*")) {
      for (Path entry : entries) {
        if (!entry.equals(current)) {
          removeIfOld(entry);
        }
      }
    }
  }

  private static void removeIfOld(Path directory) {
    try {
      Instant used = Files.getLastModifiedTime(directory.resolve(LOCK), NOFOLLOW_LINKS).toInstant();
      if (!isOwn(directory) || used.isAfter(Instant.now().minus(LIFE))) {
        return;
      }
      try (FileChannel lock = lock(directory)) {
        if (lock != null) {
          removeTree(directory);
        }
      }
    } catch (IOException e) {
      // It is going away, or cannot: nothing that this program needs.
    }
  }

  Path path() {
    return path;
  }

  Path layout() {
    return path.resolve(LAYOUT);
  }

  private Path blobs() {
    return layout().resolve(BLOBS);
  }

  private boolean exists() {
    return Files.exists(path, NOFOLLOW_LINKS);
  }

  /** Of skopeo's, when it was killed. */
  void removeParts() throws IOException {
    try (DirectoryStream<Path> parts = Files.newDirectoryStream(layout(), "oci-put-blob*")) {
      for (Path part : parts) {
        Files.deleteIfExists(part);
      }
    }
  }

  /** Of all layers, one that comes twice counted once. */
  static long bytes(List<Origin.Layer> layers) {
    return new HashSet<>(layers).stream().mapToLong(Origin.Layer::bytes).sum();
  }

  /** Bytes of layers that are there. */
  long there(List<Origin.Layer> layers) {
    return new HashSet<>(layers)
        .stream().filter(this::isThere).mapToLong(Origin.Layer::bytes).sum();
  }

  int count(List<Origin.Layer> layers) {
    return (int) layers.stream().filter(this::isThere).count();
  }

  private boolean isThere(Origin.Layer layer) {
    return Files.isRegularFile(blobs().resolve(layer.digest().hex()), NOFOLLOW_LINKS);
  }

  /** All that has come, whole or in part. */
  long arrivedBytes() {
    // In this order: what gets its name meanwhile is not counted twice.
    return bytesIn(blobs()) + bytesIn(layout());
  }

  private static long bytesIn(Path directory) {
    try (Stream<Path> files = Files.list(directory)) {
      return files.mapToLong(PullDirectory::size).sum();
    } catch (IOException e) {
      return 0; // it has not been made yet
    }
  }

  private static long size(Path file) {
    try {
      BasicFileAttributes attributes =
          Files.readAttributes(file, BasicFileAttributes.class, NOFOLLOW_LINKS);
      return attributes.isRegularFile() ? attributes.size() : 0;
    } catch (IOException e) {
      return 0; // it has just got its name
    }
  }

  void remove() throws IOException {
    if (exists()) {
      removeTree(path);
    }
  }

  /** The lock at the end: whoever waits for it then finds nothing. */
  private static void removeTree(Path directory) throws IOException {
    Files.walkFileTree(
        directory,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.deleteIfExists(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFileFailed(Path file, IOException e) throws IOException {
            if (e instanceof NoSuchFileException) {
              return FileVisitResult.CONTINUE;
            }
            throw e;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path visited, IOException e)
              throws IOException {
            Files.deleteIfExists(visited);
            return FileVisitResult.CONTINUE;
          }
        });
  }

  /** Ends its use, and says how many of the layers stay for the next; without any, it goes. */
  int leave(List<Origin.Layer> layers) throws IOException {
    int there = count(layers);
    if (there == 0) {
      remove();
    } else {
      removeParts();
    }
    lock.close();
    return there;
  }
}
