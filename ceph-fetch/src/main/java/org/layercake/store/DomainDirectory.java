package org.layercake.store;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.layercake.store.StoreException.Kind.DENIED;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The directory of an access domain: who owns it, how files come into it whole and durably, and the
 * lock for what compares and then changes. It may be a user's and the program root's, so nothing
 * here follows a symbolic link below the root.
 *
 * @param root of the store
 */
record DomainDirectory(Path root, String domain, InstantSource clock) {
  private static final String STAGING = ".staging";
  private static final String LOCK = ".lock";
  private static final Duration STALE_AFTER = Duration.ofDays(7);

  /** File locks are held by the process: threads need one of their own. */
  private static final ReentrantLock THREADS_LOCK = new ReentrantLock();

  Path path() {
    return root.resolve(domain);
  }

  Path path(String object) {
    return path().resolve(object);
  }

  boolean exists() {
    return Files.exists(path(), NOFOLLOW_LINKS);
  }

  String owner() throws IOException {
    return Files.getOwner(path(), NOFOLLOW_LINKS).getName();
  }

  private boolean isLaunchers() {
    return domain.equals(ObjectNames.LAUNCHERS);
  }

  FileChannel open(String object) throws IOException, StoreException {
    if (isLaunchers() && exists()) {
      requireOwn();
    }
    return Beneath.open(root, Path.of(domain, object));
  }

  /**
   * A launcher is root: what a user has put in the way would let that user write as root, and say
   * what others' jobs run.
   */
  private void requireOwn() throws IOException, StoreException {
    if (!Files.isDirectory(path(), NOFOLLOW_LINKS)
        || !owner().equals(System.getProperty("user.name"))) {
      throw new StoreException(
          DENIED,
          "cannot use "
              + path()
              + ": it is not a directory of "
              + System.getProperty("user.name")
              + "'s (make it)");
    }
  }

  /** Writes a file that is not there. */
  void create(String object, ByteBuffer content) throws IOException, StoreException {
    Path target = path(object);
    Path staged = stage(content);
    try {
      Files.createDirectories(target.getParent());
      Files.createLink(target, staged);
    } finally {
      Files.deleteIfExists(staged);
    }
    force(target.getParent());
  }

  /** Writes a file in the place of the one there may be. */
  void write(String object, ByteBuffer content) throws IOException, StoreException {
    Path target = path(object);
    Path staged = stage(content);
    try {
      Files.createDirectories(target.getParent());
      Files.move(staged, target, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(staged);
    }
    force(target.getParent());
  }

  void delete(String object) throws IOException {
    Files.deleteIfExists(path(object));
    force(path(object).getParent());
  }

  /** Writes the content to a file of its own on the same file system, durably. */
  private Path stage(ByteBuffer content) throws IOException, StoreException {
    Path staged = Files.createTempFile(prepare(), "", "", mode("rw-r--r--"));
    boolean whole = false;
    try (FileChannel file = FileChannel.open(staged, WRITE)) {
      ByteBuffer view = content.duplicate().position(0);
      while (view.hasRemaining()) {
        file.write(view);
      }
      file.force(true);
      Files.setLastModifiedTime(staged, FileTime.from(now()));
      whole = true;
      return staged;
    } finally {
      if (!whole) {
        Files.deleteIfExists(staged);
      }
    }
  }

  /** Makes the domain, for its owner only, and its staging directory. */
  private Path prepare() throws IOException, StoreException {
    if (isLaunchers()) {
      requireOwn();
    } else if (!Files.isDirectory(path(), NOFOLLOW_LINKS)) {
      createDirectory(path(), domain.equals(ImageName.SITE) ? "rwxr-xr-x" : "rwx------");
    }
    Path staging = path(STAGING);
    createDirectory(staging, "rwx------");
    return staging;
  }

  private static void createDirectory(Path directory, String mode) throws IOException {
    try {
      Files.createDirectory(directory, mode(mode));
    } catch (FileAlreadyExistsException e) {
      // Someone else was faster.
    }
  }

  private static FileAttribute<Set<PosixFilePermission>> mode(String mode) {
    return PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(mode));
  }

  private static void force(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, READ)) {
      channel.force(true);
    }
  }

  /** An act that compares and then changes. */
  interface Step {
    boolean run() throws IOException, StoreException;
  }

  /** Runs a step that is alone in the domain. */
  boolean locked(Step step) throws IOException, StoreException {
    THREADS_LOCK.lock();
    try {
      prepare();
      try (FileChannel lockFile = FileChannel.open(path(LOCK), CREATE, WRITE, NOFOLLOW_LINKS);
          FileLock lock = lockFile.lock()) {
        return step.run() && lock.isValid();
      }
    } finally {
      THREADS_LOCK.unlock();
    }
  }

  /** Removes what killed pushes have left. A file that old is nobody's work in progress. */
  void sweepStaging() throws IOException {
    Instant old = now().minus(STALE_AFTER);
    try (DirectoryStream<Path> staged = Files.newDirectoryStream(path(STAGING))) {
      for (Path file : staged) {
        if (Files.getLastModifiedTime(file, NOFOLLOW_LINKS).toInstant().isBefore(old)) {
          Files.deleteIfExists(file);
        }
      }
    } catch (NoSuchFileException e) {
      // Its owner was faster.
    }
  }

  /** Times of files are of whole seconds. */
  Instant now() {
    return clock.instant().truncatedTo(ChronoUnit.SECONDS);
  }
}
