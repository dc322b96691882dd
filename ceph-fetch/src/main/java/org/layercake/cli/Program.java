package org.layercake.cli;

import static org.layercake.store.StoreException.Kind.INTERNAL;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.layercake.store.StoreException;

/** A program under way, with pipes to its stdin and from its stdout, and what it says. */
record Program(String name, Process process, File stderr) {

  /** It ends with this program at the latest. */
  static Program start(Scratch scratch, List<String> command) throws StoreException, IOException {
    Path stderr = Files.createTempFile(scratch.directory(), command.get(0), ".err");
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().remove("SOURCE_DATE_EPOCH"); // mksquashfs refuses it beside -mkfs-time
    builder.environment().put("LC_ALL", "C");
    builder.redirectError(stderr.toFile());
    try {
      return new Program(command.get(0), scratch.watched(builder.start()), stderr.toFile());
    } catch (IOException e) {
      throw new StoreException(
          MISCONFIGURED,
          "cannot run "
              + command.get(0)
              + ": not installed (install squashfs-tools, gzip, xz, zstd)",
          e);
    }
  }

  int await() throws StoreException {
    try {
      return process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreException(INTERNAL, "cannot wait for " + name + ": interrupted", e);
    }
  }

  /** The line that tells most: the first fatal one, else the first. */
  String complaint() {
    try {
      List<String> lines =
          Files.readAllLines(stderr.toPath(), StandardCharsets.ISO_8859_1).stream()
              .filter(line -> !line.isBlank())
              .toList();
      return lines.stream()
          .filter(line -> line.contains("FATAL") && !line.contains("reading tar file"))
          .findFirst()
          .or(() -> lines.stream().findFirst())
          .map(line -> line.replace("FATAL ERROR: ", "").strip())
          .orElse(name + " failed");
    } catch (IOException e) {
      return name + " failed";
    }
  }
}
