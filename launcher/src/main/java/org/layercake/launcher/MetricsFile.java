package org.layercake.launcher;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.function.Supplier;
import org.layercake.launcher.node.Background;
import org.layercake.launcher.node.Event;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The file in which node_exporter's textfile collector finds the node's figures. */
final class MetricsFile {
  private static final Logger log = LoggerFactory.getLogger(MetricsFile.class);
  private static final long EVERY_MILLIS = 15_000;

  private final Path file;
  private final Supplier<String> text;

  MetricsFile(Path file, Supplier<String> text) {
    this.file = file;
    this.text = text;
  }

  /** Writes the file again and again, as long as the launcher runs. */
  void keep() {
    Background.start("metrics", this::writeAgainAndAgain);
  }

  private void writeAgainAndAgain() {
    boolean good = true;
    try {
      while (true) {
        good = write(good);
        Thread.sleep(EVERY_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Logs the first failure of several in a row. */
  private boolean write(boolean wasGood) {
    try {
      write();
      return true;
    } catch (IOException e) {
      if (wasGood) {
        Event.METRICS_FAILED
            .on(log)
            .addKeyValue("file", file)
            .addKeyValue("cause", e.toString())
            .log();
      }
      return false;
    }
  }

  /** Replaces the file: whoever reads it meanwhile has all of either. */
  void write() throws IOException {
    Path staged =
        file.resolveSibling("." + file.getFileName() + ".new"); // not read by the collector
    String now = text.get();
    Files.deleteIfExists(staged); // of a launcher that was killed
    // Others may be able to write there: no link of theirs is followed.
    Files.writeString(staged, now, UTF_8, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    // The exporter is not root; a umask may have closed it.
    Files.setPosixFilePermissions(staged, PosixFilePermissions.fromString("rw-r--r--"));
    Files.move(staged, file, StandardCopyOption.ATOMIC_MOVE);
  }
}
