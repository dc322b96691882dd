package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Files of jobs in the run directory, as a restarted launcher finds them. */
public final class JobStateFuzz {
  private static Path file; // the same for all inputs
  private static Path staged;

  private JobStateFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) throws IOException {
    if (file == null) {
      file = Files.createTempFile("job", ".state");
      staged = file.resolveSibling(file.getFileName() + ".new");
      file.toFile().deleteOnExit();
    }
    Files.write(file, data);
    JobState state;
    try {
      state = JobState.read(file);
    } catch (IOException e) {
      assertTrue(e.getMessage().contains(file.toString()), "does not name the file");
      return;
    }
    state.write(file, staged);
    JobState again = JobState.read(file);
    assertTrue(again.equals(state), "read again as " + again + " in place of " + state);
  }
}
