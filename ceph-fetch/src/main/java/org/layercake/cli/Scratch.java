package org.layercake.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** A temporary directory under {@code $TMPDIR} and its files, gone at the end also on Ctrl-C. */
final class Scratch implements AutoCloseable {
  private final Path directory;
  private final OnExit cleanUp;

  Scratch(Map<String, String> environment) throws IOException {
    Path parent = Path.of(environment.getOrDefault("TMPDIR", "/tmp"));
    directory = Files.createTempDirectory(parent, "layercake-");
    cleanUp = new OnExit(directory);
  }

  Path directory() {
    return directory;
  }

  Path file(String name) {
    return directory.resolve(name);
  }

  /** Processes that must not outlive this program; they write into the directory. */
  Process watched(Process process) {
    cleanUp.watch(process);
    return process;
  }

  @Override
  public void close() {
    cleanUp.close();
  }
}
