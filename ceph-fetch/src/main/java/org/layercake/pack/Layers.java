package org.layercake.pack;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The file tree that the layers of an image come to, as the OCI image specification applies them
 * (layer.md, "Applying Changesets"). Nothing is unpacked: the tree is in memory, the files' bytes
 * pass through.
 */
final class Layers {
  private static final String WHITEOUT = ".wh.";
  private static final String OPAQUE = ".wh..wh..opq";
  private static final String RESERVED = ".wh..wh.";

  /** A layer's tar, decompressed; opened twice. */
  interface Layer {
    InputStream open() throws IOException;

    /** Whether its digest shows that nothing of it is missing, when it has been read to its end. */
    default boolean isProved() {
      return false;
    }
  }

  /** An entry of the layer that is being applied. */
  private record Numbered(int number, TarEntry entry) {}

  private final List<? extends Layer> layers;
  private final FileTree tree = new FileTree(FileTree.Clash.REPLACE);

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

  private TarReader.End end(int layer) {
    return layers.get(layer).isProved() ? TarReader.End.PROVED : TarReader.End.MARKED;
  }

  private void apply(int layer) throws IOException {
    Deque<Numbered> own = new ArrayDeque<>();
    List<String> whiteouts = new ArrayList<>();
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
          whiteouts.add(entry.path());
        } else {
          own.add(new Numbered(number, entry));
        }
      }
      in.transferTo(OutputStream.nullOutputStream()); // what is verified is the whole
    }
    // They hide what is below, wherever in the layer they stand.
    for (String whiteout : whiteouts) {
      hide(whiteout);
    }
    for (Numbered entry; (entry = own.poll()) != null; ) { // each is garbage when it is in the tree
      tree.add(entry.entry(), layer, entry.number());
    }
  }

  private void hide(String path) throws IOException {
    String name = FileTree.name(path);
    String directory = FileTree.parent(path);
    if (name.equals(OPAQUE)) {
      tree.clear(directory);
    } else {
      tree.remove(directory + "/" + name.substring(WHITEOUT.length()));
    }
  }

  FileTree tree() {
    return tree;
  }

  /** Packs each layer's files that are left, in their order; gives the tree. */
  FileTree pack(PackStream out) throws IOException {
    Map<Integer, Map<Integer, FileTree.Node>> alive = alive(tree);
    for (int layer = 0; layer < layers.size(); layer++) {
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
        out.content(node, entry.bytes(), tar.content());
      }
    }
  }
}
