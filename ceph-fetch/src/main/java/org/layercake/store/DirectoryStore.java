package org.layercake.store;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static org.layercake.store.ObjectNames.Kind.CHUNK;
import static org.layercake.store.ObjectNames.Kind.MANIFEST;
import static org.layercake.store.ObjectNames.Kind.ORIGIN;
import static org.layercake.store.ObjectNames.Kind.PACKED;
import static org.layercake.store.ObjectNames.TAGS;
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
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.BiConsumer;
import java.util.function.IntPredicate;
import java.util.stream.Stream;

/**
 * The store in a directory: an access domain is a sub-directory, an object or tag a file. Safe
 * beside other processes, on this node or, where the file system keeps POSIX locks, on others.
 *
 * <p>A reader may be root and the domain a user's, so nothing here follows a symbolic link, and
 * what is read goes nowhere before it has been verified.
 */
final class DirectoryStore implements ObjectStore {
  private static final int MAX_TAG_FILES = 100_000;
  private static final int READ_STEP_BYTES = 64 << 10;

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
    try (FileChannel file = domain(domain).open(object)) {
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
      FileChannel file = domain(domain).open(object);
      return Optional.of(new FileStream(domain, object, maxBytes, file));
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
    if (Files.exists(path(domain, object), NOFOLLOW_LINKS)) {
      return false;
    }
    try {
      domain(domain).create(object, content);
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
      domain(domain).write(object, content);
    } catch (IOException e) {
      throw failure(e, "write", domain, object);
    }
  }

  @Override
  public void requireWritable(String domain) throws StoreException {
    Path directory = domain(domain).exists() ? domain(domain).path() : root;
    if (!Files.isWritable(directory)) {
      throw failure(new AccessDeniedException(directory.toString()), "write", domain, "chunks");
    }
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
            Files.setLastModifiedTime(file, FileTime.from(domain(domain).now()));
            return true;
          } catch (NoSuchFileException e) {
            return false;
          }
        });
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
    DomainDirectory directory = domain(domain.get());
    try {
      if (!directory.exists()) {
        return;
      }
      String owner = directory.owner();
      if (!owner.equals(System.getProperty("user.name"))) {
        throw new StoreException(
            DENIED,
            "cannot list "
                + directory.path()
                + ": it belongs to "
                + owner
                + " (run this as that user)");
      }
      for (ObjectNames.Kind kind : List.of(CHUNK, MANIFEST, ORIGIN, PACKED)) {
        listFiles(domain.get(), directory.path(kind.folder()), each);
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
    return read(domain, TAGS + "/" + tag, MAX_TAG_BYTES);
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
          DomainDirectory directory = domain(domain);
          if (wanted.isPresent()) {
            directory.write(TAGS + "/" + tag, ByteBuffer.wrap(wanted.get()));
          } else {
            directory.delete(TAGS + "/" + tag);
          }
          directory.sweepStaging();
          return true;
        });
  }

  /** What compares and then changes, alone in its domain. */
  private boolean locked(String domain, String object, DomainDirectory.Step step)
      throws StoreException {
    try {
      return domain(domain).locked(step);
    } catch (IOException e) {
      throw failure(e, "write", domain, object);
    }
  }

  private static boolean same(Optional<byte[]> a, Optional<byte[]> b) {
    return a.map(ByteBuffer::wrap).equals(b.map(ByteBuffer::wrap));
  }

  @Override
  public void visitTags(String domain, TagPart part, TagVisitor visitor) throws StoreException {
    Path directory = path(domain, TAGS);
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
      return; // a domain without tags
    } catch (UncheckedIOException e) {
      throw failure(e.getCause(), "list tags", domain, TAGS);
    } catch (IOException e) {
      throw failure(e, "list tags", domain, TAGS);
    }
  }

  private boolean visit(String domain, Path file, TagPart part, TagVisitor visitor)
      throws StoreException {
    String tag = path(domain, TAGS).relativize(file).toString();
    Optional<byte[]> value = part == TagPart.NAME ? Optional.of(new byte[0]) : readTag(domain, tag);
    return value.isEmpty() || visitor.visit(tag, value.get());
  }

  @Override
  public void close() {
    // Nothing is kept open.
  }

  private DomainDirectory domain(String domain) {
    return new DomainDirectory(root, domain, clock);
  }

  private Path path(String domain, String object) {
    return domain(domain).path(object);
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
