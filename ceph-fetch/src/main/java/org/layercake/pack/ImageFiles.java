package org.layercake.pack;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Pattern;

/** The files of an image in layers by name: in a directory, or in a tar, which is not unpacked. */
interface ImageFiles {
  int MAX_FILES = 10_000;
  int MAX_LINKS = 8;
  Pattern PLAIN_NAME = Pattern.compile("[A-Za-z0-9_:][A-Za-z0-9._:/-]*");

  /** Null when there is none. */
  Slice find(String name) throws IOException;

  /** Fails when there is none. */
  default Slice require(String name) throws IOException {
    Slice slice = find(name);
    if (slice == null) {
      throw new IOException("it lacks the file \"" + name + "\" that it names");
    }
    return slice;
  }

  /** A part of a file. */
  record Slice(Path file, long offset, long bytes) {
    InputStream open() throws IOException {
      FileChannel channel = FileChannel.open(file);
      channel.position(offset);
      return ImageStream.bounded(Channels.newInputStream(channel), bytes);
    }
  }

  /** Those of a directory or an uncompressed tar file. */
  static ImageFiles of(Path source) throws IOException {
    return Files.isDirectory(source) ? inDirectory(source) : inTar(source);
  }

  private static ImageFiles inDirectory(Path directory) throws IOException {
    Path root = directory.toRealPath();
    return written -> {
      String name = path("", written);
      if (!PLAIN_NAME.matcher(name).matches()) {
        return null;
      }
      // A link may lead out of the layout: nothing there is the image's.
      Path file = root.resolve(name);
      return Files.isRegularFile(file) && file.toRealPath().startsWith(root)
          ? new Slice(file, 0, Files.size(file))
          : null;
    };
  }

  private static ImageFiles inTar(Path tar) throws IOException {
    Map<String, Slice> slices = new HashMap<>();
    Map<String, TarEntry> links = new HashMap<>();
    try (Counted in = new Counted(Files.newInputStream(tar))) {
      TarReader reader = new TarReader(in);
      for (TarEntry entry; (entry = reader.next()) != null; ) {
        slices.remove(entry.path());
        links.remove(entry.path());
        if (entry.type() == TarEntry.FILE && !reader.isSparse()) {
          slices.put(entry.path(), new Slice(tar, in.position(), entry.bytes()));
        } else if (entry.type() == TarEntry.HARD_LINK || entry.type() == TarEntry.SYMBOLIC_LINK) {
          links.put(entry.path(), entry);
        }
        if (slices.size() + links.size() > MAX_FILES) {
          return name -> null; // a file tree that begins like an archive of layers
        }
      }
    }
    return name -> followed(name, slices, links);
  }

  /** Some write a layer that occurs twice as a link to the first, or all layers as links. */
  private static Slice followed(
      String name, Map<String, Slice> slices, Map<String, TarEntry> links) {
    String at = path("", name);
    for (int hops = 0; hops < MAX_LINKS && links.containsKey(at); hops++) {
      TarEntry link = links.get(at);
      // A hard link's target is from the top.
      String from = link.type() == TarEntry.HARD_LINK ? "" : FileTree.parent(at);
      at = path(from, link.link());
    }
    return slices.get(at);
  }

  /** A path from a directory on, without "." and ".."; above the top there is nothing. */
  private static String path(String directory, String path) {
    Deque<String> parts = new ArrayDeque<>();
    String whole = path.startsWith("/") ? path : directory + "/" + path;
    for (String part : whole.split("/", -1)) {
      if (part.equals("..")) {
        parts.pollLast();
      } else if (!part.isEmpty() && !part.equals(".")) {
        parts.add(part);
      }
    }
    return String.join("/", parts);
  }

  /** Knows how far it has been read. */
  final class Counted extends FilterInputStream {
    private long position;

    private Counted(InputStream in) {
      super(in);
    }

    long position() {
      return position;
    }

    @Override
    public int read() throws IOException {
      int b = in.read();
      position += b < 0 ? 0 : 1;
      return b;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      int count = in.read(bytes, offset, length);
      position += Math.max(count, 0);
      return count;
    }

    @Override
    public long skip(long bytes) throws IOException {
      long skipped = in.skip(bytes);
      position += skipped;
      return skipped;
    }
  }
}
