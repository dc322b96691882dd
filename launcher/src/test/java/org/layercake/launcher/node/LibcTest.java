package org.layercake.launcher.node;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;

class LibcTest {
  /** A user of the node's files, as nobody need not be: nss-systemd(8). */
  private static final long SYSTEM = 1;

  @Test
  void aUserIsUnknownOnlyIfTheNameServiceSaysSo() throws Exception {
    assertTrue(Libc.user(SYSTEM).isPresent());
    assertEquals(Optional.empty(), Libc.user(3_999_999_999L));
    Descriptors.awaitWithout("it can read no file", LibcTest::itCannotTell);
  }

  private static boolean itCannotTell() {
    try {
      Optional<Libc.User> unused = Libc.user(SYSTEM);
      return false;
    } catch (IOException e) {
      return true;
    }
  }

  @Test
  void whatAPreferredThreadStartsIsNotPreferred() throws Exception {
    onThread(
        () -> {
          Libc.prefer();
          assertEquals(-10, nice(Files.readString(Path.of("/proc/thread-self/stat"))));
          assertEquals(
              0, onThread(() -> nice(Files.readString(Path.of("/proc/thread-self/stat")))));
          assertEquals(0, niceOfAProgram());
          return null;
        });
  }

  private static int niceOfAProgram() throws IOException {
    Process program = new ProcessBuilder("cat", "/proc/self/stat").start();
    return nice(new String(program.getInputStream().readAllBytes(), US_ASCII));
  }

  /** Field 19; proc(5). */
  private static int nice(String stat) {
    return Integer.parseInt(stat.substring(stat.lastIndexOf(')')).split(" ", -1)[17]);
  }

  private static <T> T onThread(Callable<T> task) throws Exception {
    FutureTask<T> result = new FutureTask<>(task);
    new Thread(result).start();
    return result.get();
  }
}
