package org.layercake.launcher;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The groups of a user, as the node's name service knows them. */
final class Groups {
  private static final Logger log = LoggerFactory.getLogger(Groups.class);
  private static final long TIMEOUT_SECONDS = 10;
  // What fits into a pipe needs nobody to read while id runs.
  private static final int MAX_OUTPUT_BYTES = 65_536;

  private Groups() {}

  /** Their names; none when the name service does not answer, which admits nobody. */
  static Set<String> of(String user) {
    try {
      Process id = new ProcessBuilder("id", "-Gnz", "--", user).start();
      if (!id.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
        id.destroyForcibly();
        log.warn("event=groups-unknown user={} cause=timeout", user);
        return Set.of();
      }
      String names = new String(id.getInputStream().readNBytes(MAX_OUTPUT_BYTES), ISO_8859_1);
      return Set.of(names.split("\0"));
    } catch (IOException e) {
      log.warn("event=groups-unknown user={} cause={}", user, e.getMessage());
      return Set.of();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Set.of();
    }
  }
}
