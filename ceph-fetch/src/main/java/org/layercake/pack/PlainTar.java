package org.layercake.pack;

import java.io.IOException;
import java.io.InputStream;
import java.util.Map;

/** A tar of a file tree, checked by the rules for an image's layers and packed as it is read. */
final class PlainTar {
  private PlainTar() {}

  /** A tar that can be read again. */
  @FunctionalInterface
  interface Opener {
    InputStream open() throws IOException;
  }

  /**
   * Reads all of a tar.
   *
   * @throws PackedInVain when it holds a file twice: it must be read by {@link #packTwice}
   * @throws IOException when it is malformed or beyond all bounds, with the reason for people
   */
  static FileTree pack(InputStream in, PackStream out) throws IOException {
    FileTree tree = new FileTree(FileTree.Clash.REFUSE);
    TarReader tar = new TarReader(in);
    for (TarEntry entry; (entry = tar.next()) != null; ) {
      tree.admit(entry);
      FileTree.Node node = tree.add(entry, 0, 0);
      if (node != null && entry.type() == TarEntry.FILE) {
        node.inode().setContent(out.content(entry, tar.content()));
      }
    }
    tar.requireEnd();
    return tree;
  }

  /**
   * Reads a tar twice: of a name that comes again the last file counts, as where tar has unpacked
   * it, and no other is in the image, which others may read.
   *
   * @throws IOException as {@link #pack}
   */
  static FileTree packTwice(Opener opener, PackStream out) throws IOException {
    FileTree tree = new FileTree(FileTree.Clash.REPLACE_AS_TAR);
    try (InputStream in = opener.open()) {
      TarReader tar = new TarReader(in);
      int number = 0;
      for (TarEntry entry; (entry = tar.next()) != null; number++) {
        tree.admit(entry);
        tree.add(entry, 0, number);
      }
      tar.requireEnd();
    }
    try (InputStream in = opener.open()) {
      Layers.packFiles(out, new TarReader(in), Layers.alive(tree).getOrDefault(0, Map.of()));
    }
    return tree;
  }
}
