package org.layercake.pack;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static java.nio.file.StandardOpenOption.CREATE_NEW;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.layercake.store.StoreException.Kind.FULL;

import java.io.File;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.regex.Pattern;
import org.layercake.store.StoreException;

/**
 * A temporary directory under {@code $TMPDIR} and its files, gone at the end also on Ctrl-C. It
 * holds a lock as long as its program lives, so that the next one removes what a killed one has
 * left.
 */
public final class Scratch implements AutoCloseable {
  private static final Path DEFAULT_LIBRARY = Path.of("/usr/lib/layercake");
  private static final String PREFIX = "layercake-";

  /** Users may give directories of their own such names, but not put this file into them. */
  private static final String LOCK = ".layercake-scratch-lock";

  private static final Pattern NAME = Pattern.compile(PREFIX + "[0-9]+");

  /** After which it is a leftover where files cannot be locked. */
  private static final Duration LIFE = Duration.ofDays(1);

  private final Path parent;
  private final Path library;
  private final Path directory;
  private final FileChannel lock;
  private final Queue<Process> processes = new ConcurrentLinkedQueue<>();
  private final OnExit cleanUp;
  private final Limits limits;

  public Scratch(Map<String, String> environment) throws StoreException, IOException {
    this(environment, Limits.NONE);
  }

  /**
   * @param limits of the programs that work in it
   */
  public Scratch(Map<String, String> environment, Limits limits)
      throws StoreException, IOException {
    this.limits = limits;
    parent = Path.of(environment.getOrDefault("TMPDIR", "/tmp"));
    String set = environment.get("LAYERCAKE_LIBRARY");
    library = set == null ? DEFAULT_LIBRARY : Path.of(set);
    directory = directory(parent);
    cleanUp = new OnExit(this::cleanUp);
    lock = lock(directory);
    removeLeftovers();
  }

  private static Path directory(Path parent) throws StoreException {
    try {
      return Files.createTempDirectory(parent, PREFIX);
    } catch (IOException e) {
      String cause =
          e instanceof NoSuchFileException
              ? "no such directory"
              : e instanceof AccessDeniedException
                  ? "permission denied"
                  : e instanceof FileSystemException known ? known.getReason() : e.getMessage();
      throw new StoreException(
          FULL,
          "cannot make a directory in TMPDIR, "
              + parent
              + ": "
              + cause
              + " (set TMPDIR to a directory where you may write)",
          e);
    }
  }

  /** Nobody finds the file without the lock on it, unless files cannot be locked there. */
  private static FileChannel lock(Path directory) throws IOException {
    Path file = directory.resolve(LOCK + ".new");
    FileChannel channel = FileChannel.open(file, CREATE_NEW, WRITE);
    try {
      channel.lock();
    } catch (IOException e) {
      // Its age has to do.
    }
    Files.move(file, directory.resolve(LOCK), StandardCopyOption.ATOMIC_MOVE);
    return channel;
  }

  Limits limits() {
    return limits;
  }

  /**
   * Refuses what there is no room for.
   *
   * @param act what cannot be done with what
   * @param bytes that it takes at least
   */
  public void requireRoom(String act, long bytes) throws StoreException, IOException {
    long free = Files.getFileStore(parent).getUsableSpace();
    if (bytes > free) {
      throw new StoreException(
          FULL,
          "cannot %s: it needs some %d MiB in TMPDIR, %s, which has %d (set TMPDIR to a larger place)"
              .formatted(act, bytes >> 20, parent, free >> 20));
    }
  }

  public Path directory() {
    return directory;
  }

  /** Where it is, as the user knows it: TMPDIR. */
  Path parent() {
    return parent;
  }

  /** Where LayerCake's own programs are. */
  Path library() {
    return library;
  }

  public Path file(String name) {
    return directory.resolve(name);
  }

  /** Processes that must not outlive this program; they write into the directory. */
  Process watched(Process process) {
    processes.add(process);
    return process;
  }

  /** The failure of what has no room in here. */
  public StoreException full(String act, String cause) {
    return new StoreException(
        FULL,
        "cannot "
            + act
            + ": no room in "
            + parent
            + ": "
            + cause
            + " (set TMPDIR to a larger place; a file size limit may be the cause, too: ulimit"
            + " -f)");
  }

  /**
   * Others write to {@code /tmp}, too: no link is followed, and nothing of another user is touched.
   */
  private void removeLeftovers() throws IOException {
    Object owner = Files.getAttribute(directory, "unix:uid", NOFOLLOW_LINKS);
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(parent, PREFIX + "*")) {
      for (Path entry : entries) {
        boolean mayBeOurs = NAME.matcher(entry.getFileName().toString()).matches();
        if (mayBeOurs && !entry.equals(directory)) {
          removeIfDead(entry, owner);
        }
      }
    }
  }

  private static void removeIfDead(Path directory, Object owner) {
    try {
      if (Files.isDirectory(directory, NOFOLLOW_LINKS)
          && Files.getAttribute(directory, "unix:uid", NOFOLLOW_LINKS).equals(owner)
          && isDead(directory)) {
        delete(directory);
      }
    } catch (IOException e) {
      // It is going away, or cannot: nothing that this program needs.
    }
  }

  /** One without the lock is just being made, or is not ours; so it stays, whatever is in it. */
  private static boolean isDead(Path directory) throws IOException {
    Path lock = directory.resolve(LOCK);
    if (!Files.isRegularFile(lock, NOFOLLOW_LINKS)) {
      return false;
    }
    try (FileChannel channel = FileChannel.open(lock, WRITE, NOFOLLOW_LINKS);
        FileLock held = channel.tryLock()) {
      return held != null;
    } catch (OverlappingFileLockException e) {
      return false;
    } catch (IOException e) { // it cannot be locked, or has gone
      Instant made = Files.getLastModifiedTime(lock, NOFOLLOW_LINKS).toInstant();
      return made.isBefore(Instant.now().minus(LIFE));
    }
  }

  private void cleanUp() {
    for (Process process : processes) {
      try {
        process.destroyForcibly().waitFor();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    delete(directory);
  }

  /**
   * Removes a directory of plain files. A file that cannot be removed stays until the next boot.
   */
  private static void delete(Path directory) {
    File[] files = directory.toFile().listFiles();
    for (File file : files == null ? new File[0] : files) {
      delete(file);
    }
    delete(directory.toFile());
  }

  private static void delete(File file) {
    if (!file.delete()) {
      file.deleteOnExit();
    }
  }

  @Override
  public void close() {
    cleanUp.close();
    try {
      lock.close();
    } catch (IOException e) {
      // It is gone with the program at the latest.
    }
  }
}
