package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The tree that the entries of tars or a directory come to, in memory, and the rules for what may
 * be in it. Links are followed in it alone, as if it were the root directory.
 */
final class FileTree {
  static final int MAX_FILES = 2_000_000;
  private static final long MAX_BYTES = 1L << 40;
  private static final long MAX_TEXT_BYTES = 384L << 20;
  private static final int MAX_LINKS = 40; // as Linux; path_resolution(7)
  private static final int MAX_DEPTH = 2_000;
  private static final int LINK_MODE = 0777; // as Linux; inode(7)

  /** What happens where an entry is in the way of another. */
  enum Clash {
    /** The later one counts, as in an image's layers. */
    REPLACE,
    /** The later one counts, unless it is in the way of a directory's files: as tar unpacks. */
    REPLACE_AS_TAR,
    /** What has been written is written: an error. */
    REFUSE
  }

  /** What a name means, by identity. A hard link is another name for the same. */
  static final class Inode {
    private final char type;
    private final String link;
    private final int layer;
    private final int number;
    private int mode = 0755;
    private int seconds;
    private SortedMap<String, String> attributes = Collections.emptySortedMap();
    private Content content;
    private int links; // what is packed of it: names, and its number among those of several
    private int linked = -1;

    /**
     * @param layer the entry's tar, among several
     * @param number the entry's place in it
     */
    private Inode(TarEntry entry, int layer, int number) {
      this.type = entry.type();
      this.link = type == TarEntry.SYMBOLIC_LINK ? entry.link() : "";
      this.layer = layer;
      this.number = number;
      describe(entry);
    }

    /** A directory that no entry has described. */
    private Inode() {
      this.type = TarEntry.DIRECTORY;
      this.link = "";
      this.layer = -1;
      this.number = 0;
    }

    private void describe(TarEntry entry) {
      mode = type == TarEntry.SYMBOLIC_LINK ? LINK_MODE : entry.mode();
      seconds = (int) entry.seconds();
      attributes = entry.attributes();
    }

    /** As in tar(5). */
    char type() {
      return type;
    }

    boolean isDirectory() {
      return type == TarEntry.DIRECTORY;
    }

    boolean isFile() {
      return type == TarEntry.FILE;
    }

    /** Mounts of images are {@code nodev}, and only root could unpack it: it is left out. */
    private boolean isDevice() {
      return type == TarEntry.CHARACTER_DEVICE || type == TarEntry.BLOCK_DEVICE;
    }

    int layer() {
      return layer;
    }

    int number() {
      return number;
    }

    int mode() {
      return mode;
    }

    /** Since 1970, of 32 bits. */
    long seconds() {
      return Integer.toUnsignedLong(seconds);
    }

    /** A symbolic link's target, else nothing. */
    String link() {
      return link;
    }

    SortedMap<String, String> attributes() {
      return attributes;
    }

    /** A regular file's, when it has been packed. */
    Content content() {
      return content;
    }

    void countName() {
      links++;
    }

    int links() {
      return links;
    }

    /** Its number among those of several names; -1 before it has one. */
    int linked() {
      return linked;
    }

    void setLinked(int number) {
      linked = number;
    }

    void setContent(Content packed) {
      content = packed;
    }
  }

  /** A name in the tree; children only below a directory, and sorted, so that output is stable. */
  static final class Node {
    private final Node parent;
    private final String name;
    private final Inode inode;
    private final Map<String, Node> children;
    private final int pathBytes;

    private Node(Node parent, String name, Inode inode) {
      this.parent = parent;
      this.name = name;
      this.inode = inode;
      this.children = inode.isDirectory() ? new TreeMap<>() : Map.of();
      int slash = parent == null || parent.parent == null ? 0 : 1;
      this.pathBytes = name.length() + (parent == null ? 0 : parent.pathBytes + slash);
    }

    Inode inode() {
      return inode;
    }

    String name() {
      return name;
    }

    Map<String, Node> children() {
      return children;
    }

    /** From the root, which has the empty path. */
    String path() {
      byte[] path = new byte[pathBytes];
      Arrays.fill(path, (byte) '/');
      for (Node node = this; node.parent != null; node = node.parent) {
        byte[] bytes = node.name.getBytes(ISO_8859_1);
        System.arraycopy(bytes, 0, path, node.pathBytes - bytes.length, bytes.length);
      }
      return new String(path, ISO_8859_1);
    }
  }

  /** Is shown each name of a tree that is to be packed. */
  @FunctionalInterface
  interface Visitor {
    void visit(Node node) throws IOException;

    /** What is in a directory has been shown. */
    default void leave(Node directory) throws IOException {}
  }

  private final Clash clash;
  private final Node root = new Node(null, "", new Inode());
  private int files;
  private long bytes;
  private long textBytes;

  FileTree(Clash clash) {
    this.clash = clash;
  }

  Node root() {
    return root;
  }

  /** Shows all names but the root's and devices', a directory before what is in it. */
  void walk(Visitor visitor) throws IOException {
    walk(root, visitor);
  }

  private static void walk(Node directory, Visitor visitor) throws IOException {
    for (Node child : directory.children.values()) {
      if (!child.inode.isDevice()) {
        visitor.visit(child);
        if (child.inode.isDirectory()) {
          walk(child, visitor);
          visitor.leave(child);
        }
      }
    }
  }

  /** The regular file of that path; links on the way are followed, a link itself is none. */
  Optional<Inode> file(String path) throws IOException {
    Node parent = directory(parent(path), false);
    return Optional.ofNullable(parent == null ? null : parent.children.get(name(path)))
        .map(Node::inode)
        .filter(Inode::isFile);
  }

  /**
   * Counts an entry, before anything else is done with it.
   *
   * @throws IOException when there are too many, or it can be none, with the reason for people
   */
  void admit(TarEntry entry) throws IOException {
    countFile();
    bytes += entry.bytes();
    if (bytes < 0 || bytes > MAX_BYTES) {
      throw new IOException("files of more than 1 TB in all");
    }
    textBytes += entry.path().length() + entry.link().length();
    entry.attributes().forEach((name, value) -> textBytes += name.length() + value.length());
    if (textBytes > MAX_TEXT_BYTES) {
      throw new IOException("names and attributes of more than 384 MB in all");
    }
    if (entry.path().isEmpty() && !entry.isDirectory()) {
      throw new IOException("an entry without a name that is not a directory");
    }
    if (entry.type() == TarEntry.SYMBOLIC_LINK && entry.link().isEmpty()) {
      throw new IOException("symbolic link \"" + entry.path() + "\" leads nowhere");
    }
  }

  private void countFile() throws IOException {
    if (++files > MAX_FILES) {
      throw new IOException("more than " + MAX_FILES + " files");
    }
  }

  /**
   * Adds an admitted entry. What it says of the root directory itself does not count.
   *
   * @return null when its place is there already
   */
  Node add(TarEntry entry, int layer, int number) throws IOException {
    if (entry.path().isEmpty()) {
      return null;
    }
    Node parent = directory(parent(entry.path()), true);
    String name = name(entry.path());
    Node old = parent.children.get(name);
    if (entry.isDirectory() && old != null && old.inode.isDirectory()) {
      old.inode.describe(entry);
      return null;
    }
    Inode inode =
        entry.type() == TarEntry.HARD_LINK ? target(entry).inode : new Inode(entry, layer, number);
    if (old != null && old.inode == inode) {
      return null;
    }
    return put(parent, name, inode);
  }

  private Node put(Node parent, String name, Inode inode) throws IOException {
    Node node = new Node(parent, name, inode);
    if (name.length() > TarEntry.MAX_NAME_BYTES) { // it may come from a link's target
      throw tooLong("the name of \"" + node.path() + "\"", TarEntry.MAX_NAME_BYTES);
    }
    Node old = parent.children.put(name, node);
    if (old != null && clash == Clash.REFUSE) {
      throw new PackedInVain("it has \"" + node.path() + "\" twice, not both a directory");
    }
    if (old != null && clash == Clash.REPLACE_AS_TAR && !old.children.isEmpty()) {
      throw new IOException(
          "it has \"" + node.path() + "\" as a directory with files, and later as none");
    }
    if (node.pathBytes > TarEntry.MAX_PATH_BYTES) {
      throw tooLong("a file's path", TarEntry.MAX_PATH_BYTES);
    }
    return node;
  }

  private static IOException tooLong(String what, int bytes) {
    return new IOException(what + " is longer than " + bytes + " bytes");
  }

  /** Takes a name away. */
  void remove(String path) throws IOException {
    Node parent = directory(parent(path), false);
    if (parent != null) {
      parent.children.remove(name(path));
    }
  }

  /** Takes away all that is in a directory. */
  void clear(String path) throws IOException {
    Node directory = directory(path, false);
    if (directory != null) {
      directory.children.clear();
    }
  }

  /** What a hard link is another name for. */
  Node target(TarEntry entry) throws IOException {
    String path = String.join("/", parts(entry.link()));
    if (path.isEmpty()) {
      throw new IOException("hard link \"" + entry.path() + "\" names no file");
    }
    Node parent = directory(parent(path), false);
    Node found = parent == null ? null : parent.children.get(name(path));
    if (found != null && !found.inode.isDirectory()) {
      return found;
    }
    throw new IOException(
        "hard link \"" + entry.path() + "\" leads to \"" + path + "\", which is not a file");
  }

  /** The directory at a path, links on the way followed; null when there is none to be found. */
  private Node directory(String path, boolean create) throws IOException {
    Node here = root;
    int depth = 0;
    Deque<String> left = new ArrayDeque<>(parts(path));
    int links = 0;
    while (!left.isEmpty()) {
      String part = left.pop();
      if (part.equals("..")) {
        here = here.parent == null ? here : here.parent;
        continue;
      }
      Node child = here.children.get(part);
      if (child != null && child.inode.type == TarEntry.SYMBOLIC_LINK) {
        if (++links > MAX_LINKS) {
          throw new IOException("too many symbolic links on the way to \"" + path + "\"");
        }
        List<String> target = parts(child.inode.link);
        for (int i = target.size(); i > 0; i--) {
          left.push(target.get(i - 1));
        }
        here = child.inode.link.startsWith("/") ? root : here;
        continue;
      }
      if (child == null || !child.inode.isDirectory()) {
        if (!create) {
          return null;
        }
        countFile();
        child = put(here, part, new Inode());
      }
      here = child;
      if (++depth > MAX_DEPTH) {
        throw new IOException("directories deeper than " + MAX_DEPTH);
      }
    }
    return here;
  }

  private static List<String> parts(String path) {
    return Arrays.stream(path.split("/", -1))
        .filter(part -> !part.isEmpty() && !part.equals("."))
        .toList();
  }

  static String name(String path) {
    return path.substring(path.lastIndexOf('/') + 1);
  }

  static String parent(String path) {
    return path.substring(0, Math.max(path.lastIndexOf('/'), 0));
  }
}
