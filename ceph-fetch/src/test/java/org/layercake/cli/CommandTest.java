package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** Tests that run the command as alice, on a directory store, with the real programs beside it. */
public abstract class CommandTest {
  /** Where the C programs are that have been built before. */
  protected static final Path LIBRARY =
      Path.of("../launcher/src/main/native/build").toAbsolutePath();

  @TempDir protected Path work;

  protected final Map<String, String> environment = new HashMap<>();
  protected InputStream stdin = InputStream.nullInputStream();

  /** Where the commands print, if a test wants it elsewhere. */
  Output output;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();

  @BeforeEach
  void makeStore() throws IOException {
    Path store = Files.createDirectory(work.resolve("store"));
    Path config = work.resolve("store.conf");
    Files.writeString(config, "store = directory\ndirectory = " + store + "\n");
    environment.put("LAYERCAKE_CONFIG", config.toString());
    environment.put("LAYERCAKE_LIBRARY", LIBRARY.toString());
    environment.put("TMPDIR", Files.createDirectory(work.resolve("tmp")).toString());
  }

  @AfterEach
  void noTemporaryFileIsLeft() throws IOException {
    try (Stream<Path> left = Files.list(work.resolve("tmp"))) {
      assertEquals(List.of(), left.toList());
    }
  }

  protected int layercake(String... arguments) {
    out.reset();
    err.reset();
    return Layercake.run(
        new Layercake.Session(
            environment,
            "alice",
            work,
            stdin,
            output == null ? new Output(out, UTF_8) : output,
            new PrintStream(err, true, UTF_8)),
        arguments);
  }

  /** What the last command wrote on stdout. */
  protected String printed() {
    return out.toString(UTF_8);
  }

  /** All that it wrote, for messages. */
  protected String said() {
    return out.toString(UTF_8) + err.toString(UTF_8);
  }

  /** What it complained of. */
  protected List<String> complaints() {
    return err.toString(UTF_8)
        .lines()
        .filter(line -> !line.matches("(reading|packing|pushing) .*"))
        .toList();
  }

  /** The digest that a push has printed. */
  protected String pushedDigest() {
    return printed().replaceAll("(?s).*@(\\S+) .*", "$1");
  }

  /** A file tree with a program, an environment and 3 MiB of data. */
  protected Path exampleTree() throws IOException {
    Path tree = work.resolve("tree");
    Files.createDirectories(tree.resolve("bin"));
    Files.createDirectories(tree.resolve("ch"));
    Files.writeString(tree.resolve("bin/hello"), "#!/bin/sh\necho hello\n");
    Files.writeString(
        tree.resolve("ch/environment"), "A=1\n\nB='two words'\nno variable\nPATH=/x:/bin\n");
    byte[] data = new byte[3 << 20];
    new Random(1).nextBytes(data);
    Files.write(tree.resolve("data"), data);
    return tree;
  }

  /** Pushes as {@code t}, also what has nothing in it that runs, and gives the digest. */
  protected String push(Path source) {
    assertEquals(0, layercake("push", "--force", source.toString(), "t"), this::said);
    return pushedDigest();
  }

  /** Pushes in vain: one line says why, and there is no image. */
  protected void assertRefused(Path source, String reason) {
    assertEquals(65, layercake("push", source.toString(), "bad"), this::said);
    List<String> lines = complaints();
    assertEquals(1, lines.size(), this::said);
    assertTrue(lines.get(0).startsWith("layercake: cannot push " + source + ": "), this::said);
    assertTrue(lines.get(0).contains(reason), this::said);
    assertEquals(66, layercake("inspect", "bad"));
  }

  /**
   * A library directory in which a bash script stands for one of our programs, which it finds as
   * {@code $REAL}.
   */
  protected Path library(String program, String script) throws IOException, InterruptedException {
    Path library = Files.createTempDirectory(work, "library");
    for (String name : List.of("pack", "prove")) {
      Path wrapper = library.resolve(name);
      String real = "#!/bin/bash\nREAL=" + LIBRARY.resolve(name) + "\n";
      Files.writeString(
          wrapper, real + (name.equals(program) ? script : "exec \"$REAL\" \"$@\"") + "\n");
      run("chmod", "+x", wrapper.toString());
    }
    return library;
  }

  /** Runs another program and gives its stdout. */
  protected static byte[] run(String... command) throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    builder.environment().put("LC_ALL", "C");
    Process process = builder.start();
    byte[] output = process.getInputStream().readAllBytes();
    assertEquals(0, process.waitFor(), String.join(" ", command));
    return output;
  }
}
