package org.layercake.pack;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A file or a tree that is being made under another name; what is left under that one when it is
 * closed, or the program is ended by a signal, is removed.
 */
final class Partial implements AutoCloseable {
  private final Path path;
  private final OnExit removal;

  Partial(Path path) {
    this.path = path;
    this.removal = new OnExit(this::remove);
  }

  Path path() {
    return path;
  }

  @Override
  public void close() {
    removal.close();
  }

  /** What an image holds may forbid its owner to change it. */
  private void remove() {
    try {
      if (Files.exists(path, NOFOLLOW_LINKS)) {
        run("chmod", "-R", "u+rwX", "--", path.toString());
        run("rm", "-rf", "--", path.toString());
      }
    } catch (IOException e) {
      // It stays, under a name that tells where it is from.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void run(String... command) throws IOException, InterruptedException {
    new ProcessBuilder(List.of(command))
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .start()
        .waitFor();
  }
}
