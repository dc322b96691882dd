package org.layercake.pack;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.layercake.store.StoreException;

/**
 * The files of the container of the user's job on this node, by the program {@code container-root}:
 * as long as that runs, they are at a path of /proc. What is mounted in the container is not there.
 */
public final class ContainerRoot implements AutoCloseable {
  /** What the launcher sends fits into a frame, docs/protocol.md. */
  private static final int MAX_ENVIRONMENT_BYTES = 1 << 16;

  private final Program program;
  private final List<String> environment;

  private ContainerRoot(Program program, List<String> environment) {
    this.program = program;
    this.environment = environment;
  }

  /**
   * Opens it.
   *
   * @throws StoreException in the program's words, when there is no container that can have changed
   */
  public static ContainerRoot open(Scratch scratch) throws StoreException, IOException {
    Program program = Program.ours(scratch, "container-root", List.of());
    Optional<List<String>> environment = environment(program.process().getInputStream());
    if (environment.isEmpty()) {
      Program.End end = program.await();
      throw new StoreException(kind(end), "cannot save the container: " + end.complaint());
    }
    return new ContainerRoot(program, environment.get());
  }

  /** Each variable ends with a NUL, all of them with one more; empty when they are cut off. */
  private static Optional<List<String>> environment(InputStream in) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    int last = 0; // an environment without variables is a NUL alone
    for (int next = in.read(); next >= 0; next = in.read()) {
      if (next == 0 && last == 0) {
        return Optional.of(
            Arrays.stream(bytes.toString(UTF_8).split("\0")).filter(v -> !v.isEmpty()).toList());
      }
      if (bytes.size() > MAX_ENVIRONMENT_BYTES) {
        throw new IOException("the image's environment has no end");
      }
      bytes.write(next);
      last = next;
    }
    return Optional.empty();
  }

  private static StoreException.Kind kind(Program.End end) {
    return Arrays.stream(StoreException.Kind.values())
        .filter(kind -> kind.exitCode() == end.code())
        .findFirst()
        .orElse(StoreException.Kind.INTERNAL);
  }

  /** Where the files are. It is no link to be followed by its text, which says something else. */
  Path path() {
    return Path.of("/proc", Long.toString(program.process().pid()), "fd", "3");
  }

  /** The image's variables, {@code NAME=VALUE}, with what launchers add. */
  public List<String> environment() {
    return environment;
  }

  @Override
  public void close() throws IOException {
    program.process().getOutputStream().close();
  }
}
