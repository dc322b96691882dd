package org.layercake.launcher;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.layercake.launcher.node.Abort;
import org.layercake.store.ExitCode;
import org.layercake.store.Text;

/** The text of launcher.conf. */
public final class ConfigFuzz {
  private static Path file; // the same for all inputs

  private ConfigFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) throws IOException {
    if (file == null) {
      file = Files.createTempFile("launcher", ".conf");
      file.toFile().deleteOnExit();
    }
    Files.write(file, data);
    try {
      Config config = Config.read(file);
      assertTrue(config.images().limits().userPercent() <= 100, "a share of more than all");
      assertTrue(config.jobs().runDirectory().equals(config.runDirectory()), "two run directories");
    } catch (Abort e) {
      assertTrue(e.exitCode() == ExitCode.MISCONFIGURED, "exit code " + e.exitCode());
      assertTrue(e.getMessage().contains(file.toString()), "does not name the file");
      assertTrue(e.getMessage().equals(Text.clean(e.getMessage())), "control characters");
      assertFalse(e.getCause().getMessage().isBlank(), "a failure without a reason");
    }
  }
}
