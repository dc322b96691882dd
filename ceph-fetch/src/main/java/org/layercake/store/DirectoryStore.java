package org.layercake.store;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;
import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.FULL;
import static org.layercake.store.StoreException.Kind.INVALID;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import java.util.function.IntPredicate;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The store in a directory: an access domain is a sub-directory, an object or tag a file. Safe
 * beside other processes, on this node or, where the file system keeps POSIX locks, on others.
 *
 * <p>A reader may be root and the domain a user's, so nothing here follows a symbolic link, and
 * what is read goes nowhere before it has been verified.
 */
final class DirectoryStore implements ObjectStore {
  private static final Logger LOG = LoggerFactory.getLogger(DirectoryStore.class);
  private static final String STAGING = ".staging";
  private static final String LOCK = ".lock";
  private static final int MAX_TAG_FILES = 100_000;
  private static final int READ_STEP_BYTES = 64 << 10;
  private static final Duration STALE_AFTER = Duration.ofDays(7);

  /** File locks are held by the process: threads need one of their own. */
  private static final ReentrantLock THREADS_LOCK = new ReentrantLock();

  private final Path root;
  private final InstantSource clock;

  private DirectoryStore(Path root, InstantSource clock) {
    this.root = root;
    this.clock = clock;
  }

  static DirectoryStore open(Path root, InstantSource clock) throws StoreException {
    if (!Files.isDirectory(root)) {
      throw new StoreException(
          MISCONFIGURED,
          "cannot open store: directory " + root + " does not exist (set \"directory\")");
    }
    return new DirectoryStore(root, clock);
  }

  /** A file is read by whoever waits for it. */
  @Override
  public PendingRead startRead(String domain, String object, ByteBuffer target, Copy copy) {
    return new PendingRead() {
      @Override
      public int await() throws StoreException {
        return readInto(domain, object, target);
      }

      @Override
      public void cancel() {
        // Local reads are short.
      }
    };
  }

  @Override
  public boolean readsReplicas() {
    return false;
  }

  @Override
  public boolean readReplicas(
      String domain, String object, ByteBuffer target, IntPredicate isRight) {
    return false;
  }

  private int readInto(String domain, String object, ByteBuffer target) throws StoreException {
    ByteBuffer view = target.duplicate().position(0);
    try (FileChannel file = openForRead(domain, object)) {
      while (view.hasRemaining() && file.read(view) >= 0) {}
      return view.position();
    } catch (IOException e) {
      throw failure(e, "read", domain, object);
    }
  }

  @Override
  public Optional<InputStream> open(String domain, String object, int maxBytes, Copy copy)
      throws StoreException {
    try {
      if (domain.equals(ObjectNames.LAUNCHERS)
          && Files.exists(root.resolve(domain), NOFOLLOW_LINKS)) {
        requireOwn(root.resolve(domain));
      }
      return Optional.of(new FileStream(domain, object, maxBytes, openForRead(domain, object)));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw failure(e, "read", domain, object);
    }
  }

  private final class FileStream extends StoreStream {
    private final String domain;
    private final String object;
    private final FileChannel file;

    FileStream(String domain, String object, int maxBytes, FileChannel file) {
      super(
          object + " of " + domain,
          maxBytes,
          ByteBuffer.allocate(Math.min(READ_STEP_BYTES, maxBytes + 1)));
      this.domain = domain;
      this.object = object;
      this.file = file;
    }

    @Override
    int read(long position, ByteBuffer target) throws StoreException {
      try {
        while (target.hasRemaining() && file.read(target, position + target.position()) >= 0) {}
        return target.position();
      } catch (IOException e) {
        throw failure(e, "read", domain, object);
      }
    }

    @Override
    public void close() throws IOException {
      file.close();
    }
  }

  @Override
  public boolean create(String domain, String object, ByteBuffer content) throws StoreException {
    Path target = path(domain, object);
    if (Files.exists(target, NOFOLLOW_LINKS)) {
      return false;
    }
    try {
      Path staged = stage(domain, content);
      try {
        Files.createDirectories(target.getParent());
        Files.createLink(target, staged);
      } finally {
        Files.deleteIfExists(staged);
      }
      force(target.getParent());
      return true;
    } catch (FileAlreadyExistsException e) {
      return false;
    } catch (IOException e) {
      throw failure(e, "write", domain, object);
    }
  }

  @Override
  public void overwrite(String domain, String object, ByteBuffer content) throws StoreException {
    try {
      publish(stage(domain, content), path(domain, object));
    } catch (IOException e) {
      throw failure(e, "write", domain, object);
    }
  }

  /**
   * A launcher is root: what a user has put in the way would let that user write as root, and say
   * what others' jobs run.
   */
  private static void requireOwn(Path directory) throws IOException, StoreException {
    if (!Files.isDirectory(directory, NOFOLLOW_LINKS)
        || !owner(directory).equals(System.getProperty("user.name"))) {
      throw new StoreException(
          DENIED,
          "cannot use "
              + directory
              + ": it is not a directory of "
              + System.getProperty("user.name")
              + "'s (make it)");
    }
  }

  private static String owner(Path directory) throws IOException {
    return Files.getOwner(directory, NOFOLLOW_LINKS).getName();
  }

  /** The file's modification time is when it was last wanted. */
  @Override
  public boolean touch(String domain, String object) throws StoreException {
    Path file = path(domain, object);
    if (!Files.exists(file, NOFOLLOW_LINKS)) {
      return false;
    }
    return locked(
        domain,
        object,
        () -> {
          try {
            Files.setLastModifiedTime(file, FileTime.from(now()));
            return true;
          } catch (NoSuchFileException e) {
            return false;
          }
        });
  }

  private Instant now() {
    return clock.instant().truncatedTo(ChronoUnit.SECONDS);
  }

  @Override
  public Optional<Trace> trace(String domain, String object) throws StoreException {
    try {
      BasicFileAttributes file =
          Files.readAttributes(path(domain, object), BasicFileAttributes.class, NOFOLLOW_LINKS);
      return file.isRegularFile()
          ? Optional.of(new Trace(file.lastModifiedTime().toInstant(), file.size()))
          : Optional.empty();
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw failure(e, "read", domain, object);
    }
  }

  @Override
  public boolean remove(String domain, String object, Instant seen) throws StoreException {
    return locked(
        domain,
        object,
        () -> {
          boolean untouched =
              trace(domain, object).filter(trace -> trace.seen().equals(seen)).isPresent();
          return untouched && Files.deleteIfExists(path(domain, object));
        });
  }

  /**
   * Only one domain, and only by its owner: for anybody else, root above all, its directories are
   * somebody's who may put a link in their place at any moment.
   */
  @Override
  public void list(Optional<String> domain, BiConsumer<String, String> each) throws StoreException {
    if (domain.isEmpty()) {
      throw new StoreException(
          INVALID, "cannot list all domains of a directory (each owner lists the own one)");
    }
    Path directory = root.resolve(domain.get());
    try {
      if (!Files.exists(directory, NOFOLLOW_LINKS)) {
        return;
      }
      String owner = owner(directory);
      if (!owner.equals(System.getProperty("user.name"))) {
        throw new StoreException(
            DENIED,
            "cannot list " + directory + ": it belongs to " + owner + " (run this as that user)");
      }
      for (String kind : List.of("c", "m")) {
        listFiles(domain.get(), directory.resolve(kind), each);
      }
    } catch (IOException e) {
      throw failure(e, "list", domain.get(), "objects");
    }
  }

  private static void listFiles(String domain, Path directory, BiConsumer<String, String> each)
      throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
      for (Path file : files) {
        each.accept(domain, directory.getFileName() + "/" + file.getFileName());
      }
    } catch (NoSuchFileException e) {
      // Nothing was pushed yet.
    }
  }

  @Override
  public Optional<Space> space() throws StoreException {
    try {
      FileStore place = Files.getFileStore(root);
      long total = place.getTotalSpace();
      return Optional.of(new Space(total - place.getUsableSpace(), OptionalLong.of(total)));
    } catch (IOException e) {
      throw failure(e, "ask for the room", ".", "file system");
    }
  }

  @Override
  public Optional<byte[]> readTag(String domain, String tag) throws StoreException {
    return read(domain, "t/" + tag, MAX_TAG_BYTES);
  }

  @Override
  public boolean swapTag(
      String domain, String tag, Optional<byte[]> expected, Optional<byte[]> wanted)
      throws StoreException {
    return locked(
        domain,
        tag,
        () -> {
          if (!same(readTag(domain, tag), expected)) {
            return false;
          }
          setTag(domain, path(domain, "t/" + tag), wanted);
          sweepStaging(domain);
          return true;
        });
  }

  private interface Step {
    boolean run() throws IOException, StoreException;
  }

  /** What compares and then changes, alone in its domain. */
  private boolean locked(String domain, String object, Step step) throws StoreException {
    THREADS_LOCK.lock();
    try {
      prepare(domain);
      try (FileChannel lockFile =
              FileChannel.open(root.resolve(domain).resolve(LOCK), CREATE, WRITE, NOFOLLOW_LINKS);
          FileLock lock = lockFile.lock()) {
        return step.run() && lock.isValid();
      }
    } catch (IOException e) {
      throw failure(e, "write", domain, object);
    } finally {
      THREADS_LOCK.unlock();
    }
  }

  private void setTag(String domain, Path target, Optional<byte[]> wanted)
      throws IOException, StoreException {
    if (wanted.isPresent()) {
      publish(stage(domain, ByteBuffer.wrap(wanted.get())), target);
    } else {
      Files.deleteIfExists(target);
      force(target.getParent());
    }
  }

  /** What killed pushes have left. A file that old is nobody's work in progress. */
  private void sweepStaging(String domain) throws IOException {
    Instant old = now().minus(STALE_AFTER);
    try (DirectoryStream<Path> staged =
        Files.newDirectoryStream(root.resolve(domain).resolve(STAGING))) {
      for (Path file : staged) {
        if (Files.getLastModifiedTime(file, NOFOLLOW_LINKS).toInstant().isBefore(old)) {
          Files.deleteIfExists(file);
        }
      }
    } catch (NoSuchFileException e) {
      // Its owner was faster.
    }
  }

  private static boolean same(Optional<byte[]> a, Optional<byte[]> b) {
    return a.map(ByteBuffer::wrap).equals(b.map(ByteBuffer::wrap));
  }

  @Override
  public void visitTags(String domain, TagPart part, TagVisitor visitor) throws StoreException {
    Path directory = path(domain, "t");
    try (Stream<Path> files = Files.walk(directory, 2)) {
      int count = 0;
      for (Path file : (Iterable<Path>) files::iterator) {
        if (count++ > MAX_TAG_FILES) {
          throw new StoreException(
              CORRUPT, "cannot list " + directory + ": more than " + MAX_TAG_FILES + " files");
        }
        if (Files.isRegularFile(file, NOFOLLOW_LINKS) && !visit(domain, file, part, visitor)) {
          return;
        }
      }
    } catch (NoSuchFileException e) {
      LOG.trace("event=no-tags domain={}", domain);
    } catch (UncheckedIOException e) {
      throw failure(e.getCause(), "list tags", domain, "t");
    } catch (IOException e) {
      throw failure(e, "list tags", domain, "t");
    }
  }

  private boolean visit(String domain, Path file, TagPart part, TagVisitor visitor)
      throws StoreException {
    String tag = path(domain, "t").relativize(file).toString();
    Optional<byte[]> value = part == TagPart.NAME ? Optional.of(new byte[0]) : readTag(domain, tag);
    return value.isEmpty() || visitor.visit(tag, value.get());
  }

  @Override
  public void close() {
    // Nothing is kept open.
  }

  private Path path(String domain, String object) {
    return root.resolve(domain).resolve(object);
  }

  /** Writes the content to a file of its own on the same file system, durably. */
  private Path stage(String domain, ByteBuffer content) throws IOException, StoreException {
    Path staging = prepare(domain);
    Path staged =
        Files.createTempFile(
            staging,
            "",
            "",
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-r--r--")));
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

  private static void publish(Path staged, Path target) throws IOException {
    try {
      Files.createDirectories(target.getParent());
      Files.move(staged, target, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(staged);
    }
    force(target.getParent());
  }

  /** Makes the domain, for its owner only, and its staging directory. */
  private Path prepare(String domain) throws IOException, StoreException {
    Path directory = root.resolve(domain);
    if (domain.equals(ObjectNames.LAUNCHERS)) {
      requireOwn(directory);
    } else if (!Files.isDirectory(directory, NOFOLLOW_LINKS)) {
      String mode = domain.equals(ImageName.SITE) ? "rwxr-xr-x" : "rwx------";
      createDirectory(directory, PosixFilePermissions.fromString(mode));
    }
    Path staging = directory.resolve(STAGING);
    createDirectory(staging, PosixFilePermissions.fromString("rwx------"));
    return staging;
  }

  private static void createDirectory(Path directory, Set<PosixFilePermission> mode)
      throws IOException {
    try {
      Files.createDirectory(directory, PosixFilePermissions.asFileAttribute(mode));
    } catch (FileAlreadyExistsException e) {
      // Someone else was faster.
    }
  }

  private FileChannel openForRead(String domain, String object) throws IOException {
    return Beneath.open(root, Path.of(domain, object));
  }

  private static void force(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, READ)) {
      channel.force(true);
    }
  }

  /** The one place that knows what an I/O error means to us. */
  private StoreException failure(IOException e, String act, String domain, String object) {
    String what = "cannot " + act + " in " + root.resolve(domain) + " (" + object + "): ";
    String cause = String.valueOf(e.getMessage());
    if (e instanceof NoSuchFileException) {
      return new StoreException(NOT_FOUND, what + "no such file", e);
    }
    if (e instanceof AccessDeniedException) {
      return new StoreException(
          DENIED, what + "permission denied (ask an administrator for the directory)", e);
    }
    if (StoreException.saysNoRoom(e)) {
      return new StoreException(FULL, what + "no space left (remove images, or ask for room)", e);
    }
    return new StoreException(CORRUPT, what + cause, e);
  }
}
