package org.layercake.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The file tree that the layers of an image come to, as the OCI image specification applies them
 * (layer.md, "Applying Changesets"), written as one tar. Nothing is unpacked: the tree is in
 * memory, the files' bytes pass through. Links are followed in the tree alone.
 */
final class Layers {
  private static final String WHITEOUT = ".wh.";
  private static final String OPAQUE = ".wh..wh..opq";
  private static final String RESERVED = ".wh..wh.";
  private static final int MAX_ENTRIES = 2_000_000;
  private static final long MAX_BYTES = 1L << 40;
  private static final int MAX_LINKS = 40;
  private static final int MAX_DEPTH = 2_000;
  // Beside these a record is about the file itself and stays.
  private static final List<String> RENAMED = List.of("path", "linkpath");

  /** A layer's tar, decompressed; opened twice. */
  interface Layer {
    InputStream open() throws IOException;
  }

  /** What a name means, by identity. A hard link is another name for the same. */
  private static final class Inode {
    private final int layer;
    private final int number; // of the entry in its layer
    private final char type;
    private final String link;
    private final TarReader.Entry directory; // a directory's entry, whose header is kept

    private Inode(int layer, int number, TarReader.Entry entry) {
      this.layer = layer;
      this.number = number;
      this.type = entry == null ? '5' : entry.type();
      this.link = entry == null ? "" : entry.link();
      this.directory = type == '5' ? entry : null;
    }

    private boolean isDirectory() {
      return type == '5';
    }
  }

  /** A name in the tree; children only below a directory, and sorted, so that output is stable. */
  private static final class Node {
    private Inode inode;
    private final Map<String, Node> children;

    private Node(Inode inode) {
      this.inode = inode;
      this.children = inode.isDirectory() ? new TreeMap<>() : Map.of();
    }
  }

  /** An entry of the layer that is being applied. */
  private record Numbered(int number, TarReader.Entry entry) {}

  private final List<? extends Layer> layers;
  private final Node root = new Node(new Inode(-1, 0, null));
  private int entries;
  private long bytes;

  private Layers(List<? extends Layer> layers) {
    this.layers = layers;
  }

  /**
   * Reads all layers and makes the tree.
   *
   * @param layers the lowest first
   * @throws IOException when a layer is malformed or beyond all bounds, with the reason for people
   */
  static Layers read(List<? extends Layer> layers) throws IOException {
    Layers merged = new Layers(layers);
    for (int i = 0; i < layers.size(); i++) {
      merged.apply(i);
    }
    return merged;
  }

  private void apply(int layer) throws IOException {
    List<Numbered> own = new ArrayList<>();
    List<TarReader.Entry> whiteouts = new ArrayList<>();
    try (InputStream in = layers.get(layer).open()) {
      TarReader tar = new TarReader(in);
      int number = 0;
      for (TarReader.Entry entry; (entry = tar.next()) != null; number++) {
        count(entry);
        String name = name(entry.path());
        if (name.startsWith(RESERVED) && !name.equals(OPAQUE)) {
          continue; // AUFS' own
        }
        if (name.startsWith(WHITEOUT)) {
          whiteouts.add(entry);
        } else if (!entry.path().isEmpty()) {
          own.add(new Numbered(number, slim(entry)));
        }
      }
      in.transferTo(OutputStream.nullOutputStream()); // what is verified is the whole
    }
    // They hide what is below, wherever in the layer they stand.
    for (TarReader.Entry whiteout : whiteouts) {
      hide(whiteout.path());
    }
    for (Numbered entry : own) {
      add(layer, entry.number(), entry.entry());
    }
  }

  private void count(TarReader.Entry entry) throws IOException {
    bytes += entry.bytes();
    if (++entries > MAX_ENTRIES) {
      throw new IOException("more than " + MAX_ENTRIES + " files");
    }
    if (bytes < 0 || bytes > MAX_BYTES) {
      throw new IOException("files of more than 1 TB in all");
    }
  }

  /** Only directories' headers are needed again; the others are read anew when they are written. */
  private static TarReader.Entry slim(TarReader.Entry entry) {
    return entry.type() == '5'
        ? entry
        : new TarReader.Entry(entry.path(), entry.type(), entry.link(), 0, Map.of(), new byte[0]);
  }

  private void hide(String path) throws IOException {
    Node parent = directory(parent(path), false);
    if (parent == null) {
      return;
    }
    String name = name(path);
    if (name.equals(OPAQUE)) {
      parent.children.clear();
    } else {
      parent.children.remove(name.substring(WHITEOUT.length()));
    }
  }

  private void add(int layer, int number, TarReader.Entry entry) throws IOException {
    Node parent = directory(parent(entry.path()), true);
    String name = name(entry.path());
    Node old = parent.children.get(name);
    if (entry.type() == '1') {
      parent.children.put(name, new Node(target(entry)));
    } else if (entry.type() == '5' && old != null && old.inode.isDirectory()) {
      old.inode = new Inode(layer, number, entry);
    } else {
      parent.children.put(name, new Node(new Inode(layer, number, entry)));
    }
  }

  private Inode target(TarReader.Entry entry) throws IOException {
    List<String> parts = parts(entry.link());
    if (parts.isEmpty()) {
      throw new IOException("hard link \"" + entry.path() + "\" names no file");
    }
    String path = String.join("/", parts);
    Node parent = directory(parent(path), false);
    Node found = parent == null ? null : parent.children.get(name(path));
    if (found == null || found.inode.isDirectory()) {
      throw new IOException(
          "hard link \"" + entry.path() + "\" leads to \"" + path + "\", which is no file");
    }
    return found.inode;
  }

  /** The directory at a path, links on the way followed as if the tree were the root directory. */
  private Node directory(String path, boolean create) throws IOException {
    Deque<Node> above = new ArrayDeque<>(List.of(root));
    Deque<String> left = new ArrayDeque<>(parts(path));
    int links = 0;
    while (!left.isEmpty()) {
      String part = left.pop();
      if (part.equals("..")) {
        if (above.size() > 1) {
          above.pop();
        }
        continue;
      }
      Node here = above.element();
      Node child = here.children.get(part);
      if (child != null && child.inode.type == '2') {
        if (++links > MAX_LINKS) {
          throw new IOException("too many symbolic links on the way to \"" + path + "\"");
        }
        List<String> target = parts(child.inode.link);
        for (int i = target.size(); i > 0; i--) {
          left.push(target.get(i - 1));
        }
        if (child.inode.link.startsWith("/")) {
          above = new ArrayDeque<>(List.of(root));
        }
        continue;
      }
      if (child == null || !child.inode.isDirectory()) {
        if (!create) {
          return null;
        }
        child = new Node(new Inode(-1, 0, null));
        here.children.put(part, child);
      }
      above.push(child);
      if (above.size() > MAX_DEPTH) {
        throw new IOException("directories deeper than " + MAX_DEPTH);
      }
    }
    return above.element();
  }

  private static List<String> parts(String path) {
    return Arrays.stream(path.split("/", -1))
        .filter(part -> !part.isEmpty() && !part.equals("."))
        .toList();
  }

  private static String name(String path) {
    return path.substring(path.lastIndexOf('/') + 1);
  }

  private static String parent(String path) {
    return path.substring(0, Math.max(path.lastIndexOf('/'), 0));
  }

  // --- writing ---

  /**
   * Writes the tree as one tar: directories first, then each layer's files in their order, each
   * followed by its other names.
   */
  void write(OutputStream out) throws IOException {
    Map<Inode, List<String>> names = new HashMap<>();
    writeDirectories(out, root, "", names);
    Map<Integer, Map<Integer, List<String>>> alive = new HashMap<>();
    names.forEach(
        (inode, paths) ->
            alive.computeIfAbsent(inode.layer, l -> new HashMap<>()).put(inode.number, paths));
    for (int layer = 0; layer < layers.size(); layer++) {
      if (alive.containsKey(layer)) {
        writeFiles(out, layer, alive.get(layer));
      }
    }
    out.write(new byte[2 * TarReader.BLOCK]);
    out.flush();
  }

  private static void writeDirectories(
      OutputStream out, Node node, String path, Map<Inode, List<String>> names) throws IOException {
    for (Map.Entry<String, Node> child : node.children.entrySet()) {
      String childPath = path.isEmpty() ? child.getKey() : path + "/" + child.getKey();
      Inode inode = child.getValue().inode;
      if (inode.isDirectory()) {
        writeDirectory(out, inode, childPath);
        writeDirectories(out, child.getValue(), childPath, names);
      } else {
        names.computeIfAbsent(inode, i -> new ArrayList<>(1)).add(childPath);
      }
    }
  }

  private static void writeDirectory(OutputStream out, Inode inode, String path)
      throws IOException {
    if (inode.directory == null) {
      writeHeader(out, TarReader.header("", '5', "0000755", 0), Map.of(), path, '5', "", 0);
    } else {
      TarReader.Entry entry = inode.directory;
      writeHeader(out, entry.header(), entry.pax(), path, '5', "", 0);
    }
  }

  private void writeFiles(OutputStream out, int layer, Map<Integer, List<String>> alive)
      throws IOException {
    int left = alive.size();
    try (InputStream in = layers.get(layer).open()) {
      TarReader tar = new TarReader(in);
      for (int number = 0; left > 0; number++) {
        TarReader.Entry entry = tar.next();
        if (entry == null) {
          throw new IOException("a layer has changed while it was read");
        }
        List<String> paths = alive.get(number);
        if (paths == null) {
          continue;
        }
        left--;
        String first = paths.get(0);
        writeHeader(
            out, entry.header(), entry.pax(), first, entry.type(), entry.link(), entry.bytes());
        tar.content().transferTo(out);
        for (String other : paths.subList(1, paths.size())) {
          writeHeader(out, entry.header(), Map.of(), other, '1', first, 0);
        }
      }
    }
  }

  /** An entry's headers under another name, the extended one only where it is needed. */
  private static void writeHeader(
      OutputStream out,
      byte[] header,
      Map<String, String> pax,
      String path,
      char type,
      String link,
      long bytes)
      throws IOException {
    Map<String, String> records = new LinkedHashMap<>(pax);
    records.keySet().removeAll(RENAMED);
    if (!TarReader.fits(path)) {
      records.put("path", path);
    }
    if (!TarReader.fits(link)) {
      records.put("linkpath", link);
    }
    if (!records.isEmpty()) {
      byte[] extended = paxBytes(records.entrySet());
      out.write(TarReader.header("layercake", 'x', "0000644", extended.length));
      out.write(extended);
      out.write(new byte[(TarReader.BLOCK - extended.length % TarReader.BLOCK) % TarReader.BLOCK]);
    }
    out.write(TarReader.rewritten(header, path, type, link, bytes));
  }

  private static byte[] paxBytes(Collection<Map.Entry<String, String>> records) {
    StringBuilder text = new StringBuilder();
    for (Map.Entry<String, String> record : records) {
      String rest = " " + record.getKey() + "=" + record.getValue() + "\n";
      int length = rest.length() + 1;
      while (rest.length() + Integer.toString(length).length() != length) {
        length++;
      }
      text.append(length).append(rest);
    }
    return text.toString().getBytes(ISO_8859_1);
  }
}
