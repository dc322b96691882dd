package org.layercake.pack;

import java.util.HashSet;
import java.util.Set;

/**
 * What an image's upper layers hide of those below, as far as names tell. Links may say otherwise,
 * which whoever has all layers finds out.
 */
final class Hidden {
  private final Set<String> directories = new HashSet<>();

  /** Of which nothing is left, nor of what is below: of other files, and taken away. */
  private final Set<String> replaced = new HashSet<>();

  /** Directories that begin anew. */
  private final Set<String> cleared = new HashSet<>();

  /** By an entry of that name. */
  void add(TarEntry entry) {
    (entry.isDirectory() ? directories : replaced).add(entry.path());
  }

  void remove(String path) {
    replaced.add(path);
  }

  void clear(String directory) {
    cleared.add(directory);
  }

  /** Whether a file of a lower layer is. */
  boolean has(String path) {
    if (directories.contains(path) || replaced.contains(path)) {
      return true;
    }
    for (String at = path; !at.isEmpty(); ) {
      at = FileTree.parent(at);
      if (replaced.contains(at) || cleared.contains(at)) {
        return true;
      }
    }
    return false;
  }
}
