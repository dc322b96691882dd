package org.layercake.launcher.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;

/** The descriptors of the process that runs the tests. */
public final class Descriptors {
  private Descriptors() {}

  /** Takes all that this process may still have; they are to be closed again. */
  public static List<Integer> takeAll() throws Exception {
    String pid = Long.toString(ProcessHandle.current().pid());
    // Without pipes, which would be closed some time later.
    Process limit =
        new ProcessBuilder("prlimit", "--pid=" + pid, "--nofile=4096:").inheritIO().start();
    assertEquals(0, limit.waitFor());
    List<Integer> taken = takeFree();
    assertTrue(taken.size() > 100);
    return taken;
  }

  private static List<Integer> takeFree() {
    List<Integer> taken = new ArrayList<>();
    for (int fd = Libc.openOrNone("/dev/null"); fd >= 0; fd = Libc.openOrNone("/dev/null")) {
      taken.add(fd);
    }
    return taken;
  }

  /** Awaits what is so without descriptors: what earlier tests had may still be given back. */
  public static void awaitWithout(String what, BooleanSupplier condition) throws Exception {
    Await.await("classes that cannot be read later are there", () -> true);
    List<Integer> all = takeAll();
    try {
      Await.await(
          what,
          () -> {
            all.addAll(takeFree());
            return condition.getAsBoolean();
          });
    } finally {
      all.forEach(Libc::close);
    }
  }

  /** The files below a directory that this process has open, also such as were deleted. */
  public static List<String> open(Path below) {
    List<String> open = new ArrayList<>();
    for (File each : new File("/proc/self/fd").listFiles()) {
      try {
        String target = Files.readSymbolicLink(each.toPath()).toString();
        if (target.startsWith(below.toString())) {
          open.add(target);
        }
      } catch (IOException e) {
        // It was the descriptor of the list.
      }
    }
    return open;
  }
}
