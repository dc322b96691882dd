package org.layercake.pack;

import java.io.IOException;
import java.io.InputStream;

/** A tar of a file tree, checked by the rules for an image's layers and packed as it is read. */
final class PlainTar {
  private PlainTar() {}

  /**
   * Reads all of a tar.
   *
   * @throws IOException when it is malformed or beyond all bounds, with the reason for people
   */
  static FileTree pack(InputStream in, PackStream out) throws IOException {
    FileTree tree = new FileTree(FileTree.Clash.REFUSE);
    TarReader tar = new TarReader(in);
    for (TarEntry entry; (entry = tar.next()) != null; ) {
      tree.admit(entry);
      FileTree.Node node = tree.add(entry, 0, 0);
      if (node != null && entry.type() == TarEntry.FILE) {
        out.content(node, entry.bytes(), tar::copyContent);
      }
    }
    tar.requireEnd();
    return tree;
  }
}
