package org.layercake.pack;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.layercake.store.ImageConfig;
import org.layercake.store.StoreException;

/** Finds out how an image is to be run: from its configuration, and its file /ch/environment. */
final class Environment {
  private static final String FILE = "ch/environment";

  /** One of these is in nearly every image, and no link. */
  private static final List<String> PROGRAMS =
      List.of("usr/bin/env", "bin/busybox", "bin/bash", "bin/ls", "usr/bin/bash", "bin/sh");

  private static final int MAX_BYTES = 64 * 1024;
  private static final int NO_SUCH_FILE = 2; // unsquashfs(1), -cat
  private static final int UNSQUASHFS_SECONDS = 60;

  private final Scratch scratch;
  private final Consumer<String> tell;

  Environment(Scratch scratch, Consumer<String> tell) {
    this.scratch = scratch;
    this.tell = tell;
  }

  /**
   * Of a squashfs file that somebody else has made.
   *
   * @param machine the processor that it is for, as {@code uname -m} says it
   */
  ImageConfig of(Path image, String source, String machine) throws StoreException, IOException {
    byte[] file = cat(image, source, FILE, MAX_BYTES + 1);
    return config(file, source, new LinkedHashSet<>(), ImageConfig.Run.NONE, machine);
  }

  /** Of an image without a configuration. */
  ImageConfig of(Packer.Result packed, String source, String machine)
      throws StoreException, IOException {
    return config(
        file(packed, source), source, new LinkedHashSet<>(), ImageConfig.Run.NONE, machine);
  }

  /** The processor that the programs of a squashfs file are for, as far as it has known ones. */
  Optional<String> machine(Path image, String source) throws StoreException, IOException {
    for (String program : PROGRAMS) {
      String machine = Processors.machine(cat(image, source, program, Processors.HEADER_BYTES));
      if (!machine.isEmpty()) {
        return Optional.of(machine);
      }
    }
    return Optional.empty();
  }

  /**
   * Of an image in layers.
   *
   * @param document its configuration; see {@link LayeredImage#config}
   */
  ImageConfig of(Packer.Result packed, String source, JsonTree document, String machine)
      throws StoreException, IOException {
    JsonTree config = document.get("config");
    Set<String> variables = new LinkedHashSet<>();
    for (JsonTree variable : config.get("Env").items()) {
      addVariable(variable.text(), variables);
    }
    ImageConfig.Run run;
    try {
      run =
          new ImageConfig.Run(
              config.get("WorkingDir").text(),
              texts(config.get("Entrypoint")),
              texts(config.get("Cmd")),
              config.get("User").text(),
              new TreeMap<>(config.get("Labels").strings()));
    } catch (IllegalArgumentException e) {
      throw BadSource.of(source, "it has " + e.getMessage());
    }
    return config(file(packed, source), source, variables, run, machine);
  }

  private static List<String> texts(JsonTree array) {
    return array.items().stream().map(JsonTree::text).toList();
  }

  /** Adds what the image's own file says to what its configuration does. */
  private ImageConfig config(
      byte[] file, String source, Set<String> variables, ImageConfig.Run run, String machine)
      throws StoreException {
    if (file.length > MAX_BYTES) {
      throw BadSource.of(source, "its /" + FILE + " is longer than " + MAX_BYTES + " bytes");
    }
    for (String line : new String(file, StandardCharsets.UTF_8).lines().toList()) {
      addVariable(unquoted(line), variables);
    }
    try {
      return new ImageConfig(List.copyOf(variables), machine, run);
    } catch (IllegalArgumentException e) {
      throw BadSource.of(source, "its environment has " + e.getMessage());
    }
  }

  private void addVariable(String variable, Set<String> variables) {
    if (ImageConfig.isVariable(variable) && variable.indexOf('\ufffd') < 0) {
      variables.remove(variable); // so that it counts where it came last
      variables.add(variable);
    } else if (!variable.isBlank()) {
      tell.accept(
          "layercake: left out of the image's environment: "
              + variable.replaceAll("\\p{IsControl}", "?"));
    }
  }

  /** As ch-run reads the file: single quotes around a value are not part of it. */
  private static String unquoted(String line) {
    int value = line.indexOf('=') + 1;
    boolean quoted =
        value > 0 && line.length() >= value + 2 && line.charAt(value) == '\'' && line.endsWith("'");
    return quoted ? line.substring(0, value) + line.substring(value + 1, line.length() - 1) : line;
  }

  /** The file's bytes, none if there is no such file; it has passed when the image was packed. */
  private byte[] file(Packer.Result packed, String source) throws StoreException, IOException {
    Optional<FileTree.Inode> file = packed.tree().file(FILE);
    if (file.isEmpty()) {
      return new byte[0];
    }
    byte[] kept = packed.kept(file.get());
    // It passed by another name, or is huge.
    return kept != null ? kept : cat(packed.image(), source, FILE, MAX_BYTES + 1);
  }

  /** The first bytes of a file in an image, none if there is no such file. */
  private byte[] cat(Path image, String source, String file, int bytes)
      throws StoreException, IOException {
    Program unsquashfs =
        Program.start(scratch, List.of("unsquashfs", "-cat", image.toString(), file));
    unsquashfs.process().getOutputStream().close();
    unsquashfs
        .process()
        .onExit()
        .orTimeout(UNSQUASHFS_SECONDS, TimeUnit.SECONDS)
        .exceptionally(late -> unsquashfs.process().destroyForcibly());
    byte[] content;
    try (InputStream out = unsquashfs.process().getInputStream()) {
      content = out.readNBytes(bytes);
    }
    if (content.length == bytes) {
      return content; // there may be more, in which nobody is interested
    }
    Program.End end = unsquashfs.await();
    return switch (end.code()) {
      case 0 -> content;
      case NO_SUCH_FILE -> new byte[0];
      case 1 -> throw BadSource.of(source, end.complaint());
      default -> throw end.failure("push " + source, Optional.empty());
    };
  }
}
