package org.layercake.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * A tar of a file tree, checked by the rules for an image's layers and written anew while it is
 * read, once. Directories come last: an archive may describe one again, or after what is in it.
 */
final class PlainTar {
  private PlainTar() {}

  /**
   * Reads all of a tar.
   *
   * @throws IOException when it is malformed or beyond all bounds, with the reason for people
   */
  static void copy(InputStream in, OutputStream out) throws IOException {
    FileTree tree = new FileTree(FileTree.Clash.REFUSE);
    TarReader tar = new TarReader(in);
    TarWriter writer = new TarWriter(out);
    for (TarReader.Entry entry; (entry = tar.next()) != null; ) {
      tree.admit(entry);
      FileTree.Node node = tree.add(entry, 0, 0);
      if (node == null || node.inode().isDirectory() || node.inode().isDevice()) {
        continue;
      }
      if (entry.type() == TarReader.HARD_LINK) {
        writer.writeLink(node.path(), tree.target(entry).path());
      } else {
        writer.write(node.path(), entry, tar);
      }
    }
    tar.requireEnd();
    tree.walk(
        node -> {
          if (node.inode().isDirectory()) {
            writer.writeDirectory(node.path(), node.inode());
          }
        });
    writer.end();
  }
}
