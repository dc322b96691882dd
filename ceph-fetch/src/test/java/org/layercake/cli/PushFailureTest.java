package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.layercake.store.Existing;
import org.layercake.store.ImageConfig;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreConfig;
import org.layercake.store.TestJvm;

/** Pushes in which something breaks: the tag stays where it was, and the cause is told. */
class PushFailureTest extends CommandTest {
  private static final String LOCK = ".layercake-scratch-lock";
  private Path tree;

  @BeforeEach
  void makeTree() throws IOException {
    tree = Files.createDirectories(work.resolve("tree/bin")).getParent();
    byte[] data = new byte[3 << 20];
    new Random(1).nextBytes(data);
    Files.write(tree.resolve("data"), data);
    Files.writeString(tree.resolve("bin/hello"), "#!/bin/sh\necho hello\n");
  }

  /**
   * Where a byte is changed: in the data, in the inode table, in a name, at the superblock's end.
   */
  @ParameterizedTest
  @CsvSource({"1000000", "3145900", "-1", "60"})
  void anImageThatIsNotWhatWentInIsNeverVisible(int place) throws Exception {
    String before = push(tree);
    Files.writeString(tree.resolve("new"), "x");
    String script =
        "\"$REAL\" \"$@\" || exit; size=$(stat -c %%s \"$1\"); at=%d; [ $at -ge 0 ] || at=$((size - 5000));"
            + " byte=$(od -An -tu1 -j $at -N 1 \"$1\"); printf \"\\\\$(printf %%o $((byte ^ 16)))\""
            + " | dd of=\"$1\" bs=1 seek=$at conv=notrunc status=none";
    useLibrary("pack", script.formatted(place));
    assertEquals(70, layercake("push", tree.toString(), "t"), this::said);
    assertOneLine("what was packed is not what went in");
    useLibrary("pack", "exec \"$REAL\" \"$@\"");
    assertEquals(0, layercake("inspect", "t"), this::said);
    assertTrue(printed().contains(before), this::said);
    assertEquals(0, layercake("push", tree.toString(), "t"), this::said);
  }

  @ParameterizedTest
  @CsvSource({"pack", "prove"})
  void aKilledProgramIsNamedAndSaysNothingOfTheSource(String program) throws Exception {
    useLibrary(program, "read -r -n 100000 x; kill -9 $$");
    assertEquals(70, layercake("push", tree.toString(), "t"), this::said);
    assertOneLine(program + " was killed in " + environment.get("TMPDIR") + ", by signal 9");
    assertEquals(66, layercake("inspect", "t"));
  }

  @ParameterizedTest
  @CsvSource({"pack", "prove"})
  void aMissingProgramIs78(String program) throws Exception {
    Path library = library(program, "exit 1");
    Files.delete(library.resolve(program));
    environment.put("LAYERCAKE_LIBRARY", library.toString());
    assertEquals(78, layercake("push", tree.toString(), "t"), this::said);
    assertOneLine("reinstall LayerCake");
    assertEquals(66, layercake("inspect", "t"));
  }

  @Test
  void aFileSizeLimitIs73() throws Exception {
    useLibrary("pack", "ulimit -f 1000; exec \"$REAL\" \"$@\"");
    assertEquals(73, layercake("push", tree.toString(), "t"), this::said);
    assertOneLine("no room in " + environment.get("TMPDIR") + ": ");
    assertOneLine("File too large");
  }

  @Test
  void aFileSizeLimitIs73ForWhatHasToBeAFileFirst() throws Exception {
    Path image = squashed("gzip");
    Process push =
        javaPush("ulimit -f 1000; exec \"$@\" <" + image)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.PIPE)
            .start();
    String said = new String(push.getInputStream().readAllBytes(), UTF_8);
    assertEquals(73, push.waitFor(), said);
    assertTrue(said.contains("no room in " + environment.get("TMPDIR")), said);
  }

  @Test
  void tooLittleMemoryIs70AndOneLine() throws Exception {
    environment.put("JAVA_TOOL_OPTIONS", "-Xmx24m -XX:+UseSerialGC");
    String names = "import sys, tarfile\nt = tarfile.open(fileobj=sys.stdout.buffer, mode='w|')\n";
    Path script =
        Files.writeString(
            work.resolve("names.py"),
            names + "for i in range(300000): t.addfile(tarfile.TarInfo(f'd/{i}'))\n");
    Process push =
        javaPush("python3 " + script + " 2>/dev/null | \"$@\"")
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.PIPE)
            .start();
    List<String> lines =
        new String(push.getInputStream().readAllBytes(), UTF_8)
            .lines()
            .filter(line -> !line.matches("(Picked up|reading|packing|pushing) .*"))
            .toList();
    assertEquals(70, push.waitFor(), lines::toString);
    assertEquals(1, lines.size(), lines::toString);
    assertTrue(
        lines.get(0).matches("layercake: cannot go on: .*OutOfMemoryError.*"), lines::toString);
  }

  @Test
  void aFullDiskIs73() throws Exception {
    useLibrary(
        "pack",
        "[ $(id -u) = 0 ] || user=--map-root-user; exec unshare $user --mount sh -c 'mount -t tmpfs -o size=1m none \"${2%/*}\" &&"
            + " exec \"$1\" \"$2\"' sh \"$REAL\" \"$1\"");
    assertEquals(73, layercake("push", tree.toString(), "t"), this::said);
    assertOneLine("no room in " + environment.get("TMPDIR") + ": ");
    assertOneLine("No space left on device");
  }

  @Test
  void whatAKilledPushHasLeftIsRemovedAndNothingElse() throws Exception {
    Path tmp = Path.of(environment.get("TMPDIR"));
    Path dead = Files.createDirectory(tmp.resolve("layercake-1"));
    Files.createFile(dead.resolve(LOCK));
    Files.writeString(dead.resolve("image.sqfs"), "half");
    Path users = Files.createDirectory(tmp.resolve("layercake-2"));
    Files.createFile(users.resolve("lock"));
    Files.setLastModifiedTime(users, FileTime.from(Instant.parse("2020-01-01T00:00:00Z")));
    Path named = Files.createDirectory(tmp.resolve("layercake-images2"));
    Files.createFile(named.resolve(LOCK));
    Path elsewhere = Files.createDirectory(work.resolve("elsewhere"));
    Files.createFile(elsewhere.resolve(LOCK));
    Path link = Files.createSymbolicLink(tmp.resolve("layercake-3"), elsewhere);
    Path file = Files.createFile(tmp.resolve("layercake-5"));
    Path other = Files.createDirectory(tmp.resolve("somebody-else"));
    Process running = startedPush();
    Path held;
    try {
      held = scratchOf(running, tmp);
      push(tree);
      assertTrue(Files.exists(held.resolve(LOCK)), "it is in use");
    } finally {
      running.destroyForcibly().waitFor();
    }
    assertTrue(Files.notExists(dead));
    List<Path> all =
        List.of(
            users.resolve("lock"), named.resolve(LOCK), link, elsewhere.resolve(LOCK), file, other);
    for (Path kept : all) {
      assertTrue(Files.exists(kept, LinkOption.NOFOLLOW_LINKS), kept.toString());
    }
    push(tree);
    assertTrue(Files.notExists(held), "its owner has been killed");
    for (Path mine :
        List.of(users.resolve("lock"), users, named.resolve(LOCK), named, link, file, other)) {
      Files.delete(mine);
    }
  }

  /** A push from the standard input to be, in a JVM of its own, which a script starts. */
  private ProcessBuilder javaPush(String script) {
    List<String> command = new ArrayList<>(List.of("bash", "-c", script, "bash"));
    command.addAll(TestJvm.command());
    command.addAll(List.of("org.layercake.cli.Layercake", "push", "-", "piped"));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().putAll(environment);
    return builder;
  }

  /** One that waits for more of its source. */
  private Process startedPush() throws IOException {
    return javaPush("exec \"$@\"")
        .redirectError(ProcessBuilder.Redirect.DISCARD)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .start();
  }

  private static Path scratchOf(Process push, Path tmp) throws Exception {
    while (true) {
      try (var entries = Files.newDirectoryStream(tmp, "layercake-*[0-9][0-9][0-9]*")) {
        for (Path entry : entries) {
          if (Files.exists(entry.resolve(LOCK))) {
            return entry;
          }
        }
      }
      assertTrue(push.isAlive(), "the push waits for its source");
      Thread.sleep(20);
    }
  }

  @ParameterizedTest
  @CsvSource({"gzip", "xz", "zstd"})
  void aDamagedSquashfsFileIsRefused(String compressor) throws Exception {
    run("sh", "-c", "seq 2000000 >" + tree.resolve("data"));
    Path image = squashed(compressor);
    assertEquals(0, layercake("push", image.toString(), "t"), this::said);
    byte[] bytes = Files.readAllBytes(image);
    int middle = bytes.length / 2;
    Arrays.fill(bytes, middle, middle + (1 << 17), (byte) -1); // a whole block at least
    assertRefused(Files.write(image, bytes), "damaged: cannot read \"/data\"");
  }

  @Test
  void aSquashfsFileThatNothingCanReadIsRefused() throws Exception {
    assertRefused(squashed("lzma"), "");
    Path image = squashed("zstd");
    byte[] bytes = Files.readAllBytes(image);
    bytes[64 + 5] ^= 1; // where the inode table begins
    assertRefused(Files.write(work.resolve("far"), bytes), "");
    bytes[64 + 5] ^= 1;
    bytes[16] = -1; // the number of fragments
    bytes[17] = -1;
    bytes[18] = -1;
    bytes[19] = -1;
    assertRefused(Files.write(work.resolve("many"), bytes), "");
  }

  @Test
  void anImageBeyondWhatCanBeProvedIsNotCalledDamaged() throws Exception {
    Path hole = Files.write(tree.resolve("hole"), new byte[0]);
    run("truncate", "-s", "1G", hole.toString());
    for (int i = 0; i < 2048; i++) {
      Files.createLink(tree.resolve("link" + i), hole);
    }
    Path image = squashed("gzip");
    assertRefused(
        image,
        "cannot read \""
            + image
            + "\": its files are more than 2 TiB, which is more than can be proved (make two");
    assertTrue(!said().contains("damaged"), this::said);
  }

  @Test
  void verifyFindsAnImageThatWasDamagedWhenItWasStored() throws Exception {
    Path image = squashed("zstd");
    byte[] bytes = Files.readAllBytes(image);
    bytes[64 + 5] ^= 1;
    Files.write(image, bytes);
    storeUnproved(image, "old");
    assertEquals(0, layercake("verify", "--digests", "old"), this::said);
    assertEquals(65, layercake("verify", "old"), this::said);
    assertTrue(said().contains("damaged: ") && said().contains("push it again"), this::said);
  }

  private void storeUnproved(Path image, String name) throws Exception {
    Properties properties = new Properties();
    properties.setProperty("store", "directory");
    properties.setProperty("directory", work.resolve("store").toString());
    ImageName target = ImageName.parse(name);
    try (ImageStore store = ImageStore.open(StoreConfig.from(properties, "alice", work));
        var push = store.push(target, "alice", Existing.TRUST)) {
      push.complete(image, new ImageConfig(List.of(), "x86_64"), (done, fresh) -> {});
    }
  }

  private Path squashed(String compressor) throws Exception {
    Path image = work.resolve(compressor + ".sqfs");
    run("mksquashfs", tree + "", image + "", "-comp", compressor, "-quiet", "-no-progress");
    return image;
  }

  private void useLibrary(String program, String script) throws Exception {
    environment.put("LAYERCAKE_LIBRARY", library(program, script).toString());
  }

  private void assertOneLine(String part) {
    List<String> lines = complaints();
    assertEquals(1, lines.size(), this::said);
    assertTrue(lines.get(0).contains(part), this::said);
  }
}
