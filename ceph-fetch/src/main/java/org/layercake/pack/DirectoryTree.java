package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static java.nio.file.StandardOpenOption.READ;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;

/**
 * A file tree in a directory of this machine, packed by the rules for a tar of it: names in the
 * order of their bytes, no link followed, devices and sockets left out.
 */
final class DirectoryTree {
  private static final int TYPE = 0170000; // inode(7)
  private static final int COPY_BYTES = 1 << 17;

  /** Not the owner and group: their names are looked up, at a server perhaps, for each file. */
  private static final String STATUS = "unix:mode,nlink,dev,ino,size,lastModifiedTime";

  /** A name of a directory, as bytes, and where it is. */
  private record Name(String bytes, Path path) {}

  /** An inode of this machine. */
  private record Identity(Object device, Object inode) {}

  private final FileTree tree = new FileTree(FileTree.Clash.REFUSE);
  private final Map<Identity, String> linked = new HashMap<>();
  private final ByteBuffer buffer = ByteBuffer.allocate(COPY_BYTES);
  private final PackStream out;
  private final LongConsumer read;
  private final String root; // its path, as bytes
  private final Optional<Path> leftOut;

  private DirectoryTree(PackStream out, Path root, Optional<Path> leftOut, LongConsumer read) {
    this.out = out;
    this.read = read;
    this.root = allBytes(root);
    this.leftOut = leftOut;
  }

  /**
   * Reads all of a directory.
   *
   * @param leftOut a directory that is no part of it wherever it is, since it is written to
   * @param read told of so many more bytes that have been read
   * @throws FileSystemException when a file cannot be read
   * @throws IOException when a file changes meanwhile or is beyond all bounds, with the reason for
   *     people
   */
  static FileTree pack(Path directory, Path leftOut, PackStream out, LongConsumer read)
      throws IOException {
    return pack(directory.toRealPath(), Optional.of(leftOut.toRealPath()), out, read);
  }

  /**
   * The same of a directory that another process has open: a link of /proc, which leads there
   * whatever its text says; proc(5).
   */
  static FileTree packOpen(Path link, PackStream out, LongConsumer read) throws IOException {
    return pack(link, Optional.empty(), out, read);
  }

  private static FileTree pack(Path root, Optional<Path> leftOut, PackStream out, LongConsumer read)
      throws IOException {
    DirectoryTree reading = new DirectoryTree(out, root, leftOut, read);
    reading.readDirectory(root, "");
    return reading.tree;
  }

  private void readDirectory(Path directory, String path) throws IOException {
    for (Name name : names(directory)) {
      if (leftOut.isPresent() && name.path().equals(leftOut.get())) {
        continue;
      }
      try {
        read(name.path(), path.isEmpty() ? name.bytes() : path + '/' + name.bytes());
      } catch (NoSuchFileException e) {
        throw new IOException(
            "\"" + e.getFile() + "\" has gone while it was read (push it again)", e);
      }
    }
  }

  private static List<Name> names(Path directory) throws IOException {
    List<Name> names = new ArrayList<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
      for (Path entry : entries) {
        names.add(new Name(bytes(entry), entry));
      }
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    names.sort(Comparator.comparing(Name::bytes));
    return names;
  }

  private void read(Path file, String path) throws IOException {
    Map<String, Object> status = Files.readAttributes(file, STATUS, NOFOLLOW_LINKS);
    int mode = (int) status.get("mode");
    switch (mode & TYPE) {
      case 0040000 -> {
        add(file, path, TarEntry.DIRECTORY, "", status);
        readDirectory(file, path);
      }
      case 0100000 -> add(file, path, TarEntry.FILE, "", status);
      case 0120000 -> add(file, path, TarEntry.SYMBOLIC_LINK, target(file), status);
      case 0010000 -> add(file, path, TarEntry.FIFO, "", status);
      default -> {} // a device, or a socket, which nobody would listen on
    }
  }

  private void add(Path file, String path, char type, String link, Map<String, Object> status)
      throws IOException {
    boolean hasLinks = type != TarEntry.DIRECTORY && (int) status.get("nlink") > 1;
    String earlier =
        hasLinks
            ? linked.putIfAbsent(new Identity(status.get("dev"), status.get("ino")), path)
            : null;
    boolean isRead = type == TarEntry.FILE && earlier == null;
    TarEntry entry =
        new TarEntry(
            path,
            earlier == null ? type : TarEntry.HARD_LINK,
            (int) status.get("mode") & TarEntry.PERMISSIONS,
            seconds((FileTime) status.get("lastModifiedTime")),
            earlier == null ? link : earlier,
            isRead ? (long) status.get("size") : 0,
            isRead || type == TarEntry.DIRECTORY
                ? ExtendedAttributes.ofUser(root + '/' + path)
                : Collections.emptySortedMap());
    tree.admit(entry);
    FileTree.Node node = tree.add(entry, 0, 0);
    if (isRead) {
      node.inode().setContent(out.content(entry, to -> copy(file, entry.bytes(), to)));
    }
  }

  private static long seconds(FileTime time) {
    return Math.max(0, Math.min(time.to(TimeUnit.SECONDS), TarEntry.MAX_SECONDS));
  }

  /** Not more than the file had, and one byte, by which it is seen to have grown. */
  private void copy(Path file, long bytes, OutputStream to) throws IOException {
    try (SeekableByteChannel in = Files.newByteChannel(file, READ, NOFOLLOW_LINKS)) {
      for (long left = bytes + 1; left > 0; ) {
        buffer.clear().limit((int) Math.min(left, buffer.capacity()));
        int count = read(in, file);
        if (count < 0) {
          return;
        }
        left -= count;
        read.accept(count);
        to.write(buffer.array(), 0, left == 0 ? count - 1 : count);
        if (left == 0) {
          throw new IOException("\"" + file + "\" has grown while it was read (push it again)");
        }
      }
    }
  }

  /** Names the file, which a channel's exception does not. */
  private int read(SeekableByteChannel in, Path file) throws IOException {
    try {
      return in.read(buffer);
    } catch (IOException e) {
      throw new FileSystemException(file.toString(), null, e.getMessage());
    }
  }

  private static String target(Path link) throws IOException {
    Path target = Files.readSymbolicLink(link);
    String bytes = allBytes(target);
    if (target.isAbsolute()) {
      return bytes;
    }
    String here = allBytes(Path.of(""));
    return bytes.substring(here.endsWith("/") ? here.length() : here.length() + 1);
  }

  private static String bytes(Path file) {
    return FileTree.name(allBytes(file));
  }

  /**
   * An absolute path's bytes. A path has them whatever the locale, but gives them only in a URI:
   * its string lacks what the locale's encoding does.
   */
  private static String allBytes(Path path) {
    String uri = path.toUri().getRawPath();
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(uri.length());
    for (int i = 0; i < uri.length(); i++) {
      if (uri.charAt(i) == '%') {
        bytes.write(Integer.parseInt(uri.substring(i + 1, i + 3), 16));
        i += 2;
      } else {
        bytes.write(uri.charAt(i));
      }
    }
    String all = bytes.toString(ISO_8859_1);
    // A URI of a directory ends with a slash, even if the path does not.
    boolean isAdded = all.endsWith("/") && all.length() > 1 && !path.toString().endsWith("/");
    return isAdded ? all.substring(0, all.length() - 1) : all;
  }
}
