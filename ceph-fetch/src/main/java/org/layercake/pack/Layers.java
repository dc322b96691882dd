package org.layercake.pack;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The file tree that the layers of an image come to, as the OCI image specification applies them
 * (layer.md, "Applying Changesets"). Nothing is unpacked: the tree is in memory, the files' bytes
 * pass through.
 *
 * <p>The uppermost layer comes first: what it has is not hidden by another. So each layer is read
 * once, and its files are packed as they come, but for those that a layer above hides. That goes by
 * names alone; where links lead elsewhere, or a layer has a file twice, it comes out at the end,
 * when the layers have been applied from the lowest on, and all is packed again.
 */
final class Layers {
  private static final String WHITEOUT = ".wh.";
  private static final String OPAQUE = ".wh..wh..opq";
  private static final String RESERVED = ".wh..wh.";

  /** A layer's tar, decompressed. */
  interface Layer {
    InputStream open() throws IOException;

    /** Whether its digest shows that nothing of it is missing, when it has been read to its end. */
    default boolean isProved() {
      return false;
    }
  }

  /** An entry of a layer; its content, if that has been packed. */
  private record Numbered(int number, TarEntry entry, Content content) {}

  /** What a layer changes. */
  private record Changes(Deque<Numbered> entries, List<String> whiteouts) {
    Changes() {
      this(new ArrayDeque<>(), new ArrayList<>());
    }
  }

  private final List<? extends Layer> layers;
  private final FileTree tree = new FileTree(FileTree.Clash.REPLACE);

  /**
   * @param layers the lowest first
   */
  Layers(List<? extends Layer> layers) {
    this.layers = layers;
  }

  /**
   * Reads all layers once, packs their files, and makes the tree.
   *
   * @throws PackedInVain when it has to be done again, by {@link #packAgain}
   * @throws IOException when a layer is malformed or beyond all bounds, with the reason for people
   */
  FileTree packOnce(PackStream out) throws IOException {
    Changes[] changes = new Changes[layers.size()];
    Hidden hidden = new Hidden();
    for (int layer = layers.size() - 1; layer >= 0; layer--) {
      changes[layer] = read(layer, hidden, out);
      if (layer > 0) {
        hide(changes[layer], hidden);
      }
    }
    for (int layer = 0; layer < changes.length; layer++) {
      apply(layer, changes[layer]);
    }
    requirePacked(out);
    return tree;
  }

  private TarReader.End end(int layer) {
    return layers.get(layer).isProved() ? TarReader.End.PROVED : TarReader.End.MARKED;
  }

  private Changes read(int layer, Hidden hidden, PackStream out) throws IOException {
    Changes changes = new Changes();
    try (InputStream in = layers.get(layer).open()) {
      TarReader tar = new TarReader(in, end(layer));
      int number = 0;
      for (TarEntry entry; (entry = tar.next()) != null; number++) {
        tree.admit(entry);
        String name = FileTree.name(entry.path());
        if (name.startsWith(RESERVED) && !name.equals(OPAQUE)) {
          continue; // AUFS' own
        }
        if (name.startsWith(WHITEOUT)) {
          changes.whiteouts().add(entry.path());
        } else {
          boolean isPacked = entry.type() == TarEntry.FILE && !hidden.has(entry.path());
          Content content = isPacked ? out.content(entry, tar.content()) : null;
          changes.entries().add(new Numbered(number, entry, content));
        }
      }
      in.transferTo(OutputStream.nullOutputStream()); // what is verified is the whole
    }
    return changes;
  }

  /** For the layers below. */
  private static void hide(Changes changes, Hidden hidden) {
    for (Numbered entry : changes.entries()) {
      hidden.add(entry.entry());
    }
    for (String whiteout : changes.whiteouts()) {
      if (isOpaque(whiteout)) {
        hidden.clear(FileTree.parent(whiteout));
      } else {
        hidden.remove(removed(whiteout));
      }
    }
  }

  private static boolean isOpaque(String whiteout) {
    return FileTree.name(whiteout).equals(OPAQUE);
  }

  private static String removed(String whiteout) {
    String directory = FileTree.parent(whiteout);
    String name = FileTree.name(whiteout).substring(WHITEOUT.length());
    return directory.isEmpty() ? name : directory + '/' + name;
  }

  private void apply(int layer, Changes changes) throws IOException {
    // They hide what is below, wherever in the layer they stand.
    for (String whiteout : changes.whiteouts()) {
      if (isOpaque(whiteout)) {
        tree.clear(FileTree.parent(whiteout));
      } else {
        tree.remove(removed(whiteout));
      }
    }
    // Each is garbage when it is in the tree.
    for (Numbered entry; (entry = changes.entries().poll()) != null; ) {
      FileTree.Node node = tree.add(entry.entry(), layer, entry.number());
      if (entry.content() != null) {
        node.inode().setContent(entry.content());
      }
    }
    // AUFS keeps files there that hard links name; by themselves they are not the image's.
    tree.root().children().keySet().removeIf(name -> name.startsWith(RESERVED));
  }

  /** Each file of the tree, and nothing else. */
  private void requirePacked(PackStream out) throws IOException {
    BitSet used = new BitSet(out.contents());
    tree.walk(
        node -> {
          if (node.inode().isFile()) {
            if (node.inode().content() == null) {
              throw new PackedInVain("links decide that it has \"" + node.path() + "\"");
            }
            used.set(node.inode().content().number());
          }
        });
    if (used.cardinality() < out.contents()) {
      throw new PackedInVain("it has files twice");
    }
  }

  /** Packs the files of the tree, in the same order, when they have been packed in vain. */
  FileTree packAgain(PackStream out) throws IOException {
    Map<Integer, Map<Integer, FileTree.Node>> alive = alive(tree);
    for (int layer = layers.size() - 1; layer >= 0; layer--) {
      if (alive.containsKey(layer)) {
        try (InputStream in = layers.get(layer).open()) {
          packFiles(out, new TarReader(in, end(layer)), alive.get(layer));
        }
      }
    }
    return tree;
  }

  /** The files of a tree, by layer and by their number in it. */
  static Map<Integer, Map<Integer, FileTree.Node>> alive(FileTree tree) throws IOException {
    Map<Integer, Map<Integer, FileTree.Node>> alive = new HashMap<>();
    tree.walk(
        node -> {
          if (node.inode().isFile()) {
            alive
                .computeIfAbsent(node.inode().layer(), layer -> new HashMap<>())
                .putIfAbsent(node.inode().number(), node);
          }
        });
    return alive;
  }

  /**
   * Packs some of a tar's files.
   *
   * @param alive which, by their number
   */
  static void packFiles(PackStream out, TarReader tar, Map<Integer, FileTree.Node> alive)
      throws IOException {
    int left = alive.size();
    for (int number = 0; left > 0; number++) {
      TarEntry entry = tar.next();
      if (entry == null) {
        throw new IOException("it has changed while it was read");
      }
      FileTree.Node node = alive.get(number);
      if (node != null) {
        left--;
        node.inode().setContent(out.content(entry, tar.content()));
      }
    }
  }
}
