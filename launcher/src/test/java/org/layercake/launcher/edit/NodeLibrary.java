package org.layercake.launcher.edit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** A library of this machine. */
public final class NodeLibrary {
  private NodeLibrary() {}

  /** One that is there under another name than its own, libz.so.1. */
  public static Path find() {
    try (Stream<Path> files = Files.walk(Path.of("/usr/lib"), 2)) {
      return files
          .filter(path -> path.getFileName().toString().startsWith("libz.so."))
          .filter(path -> Files.isRegularFile(path) && !Files.isSymbolicLink(path))
          .findFirst()
          .orElseThrow();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
