package org.layercake.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.layercake.launcher.image.ImageSettings;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Libc;
import org.layercake.store.ExitCode;

class ConfigTest {
  /** A key, and its default if there is one. */
  private static final Pattern ROW =
      Pattern.compile("(?m)^\\| `([a-z-]+)` \\| (?:`([^`]+)`|none) \\|");

  @TempDir Path directory;

  private Config read(String text) throws Exception {
    return Config.read(Files.writeString(directory.resolve("launcher.conf"), text));
  }

  @Test
  void anEmptyFileStandsForTheDefaults() throws Exception {
    Config config = read("");
    assertEquals(Path.of("/run/layercake/launcher.sock"), config.socket());
    assertEquals(new ImageSettings.Limits(20L << 30, 75, 64), config.images().limits());
    assertEquals(Path.of("/usr/lib/layercake/imageserver"), config.images().imageServer());
    assertEquals(Path.of("/var/spool/slurmd"), config.jobs().slurmSpoolDirectory());
  }

  @Test
  void theDocumentedKeysAreTheOnesThatAreReadAndTheirDefaultsHold() throws Exception {
    String operations = Files.readString(Path.of("../docs/operations.md"));
    String table = operations.substring(operations.indexOf("| `store` |")).split("\n\n", 2)[0];
    Set<String> keys = new TreeSet<>();
    StringBuilder defaults = new StringBuilder();
    ROW.matcher(table)
        .results()
        .forEach(
            row -> {
              keys.add(row.group(1));
              if (row.group(2) != null) {
                defaults.append(row.group(1)).append(" = ").append(row.group(2)).append('\n');
              }
            });
    assertEquals(Config.keys(), keys);
    assertEquals(settings(""), settings(defaults.toString()));
  }

  /** As text: two policies are never equal. */
  private String settings(String text) throws Exception {
    return read(text).toString().replaceAll("@[0-9a-f]+", "");
  }

  @Test
  void imagesAndJobsShareTheRunAndTheLibraryDirectory() throws Exception {
    Config config = read("run-directory = /r\nlibrary-directory = /l\n");
    assertEquals(Path.of("/r"), config.images().runDirectory());
    assertEquals(Path.of("/r"), config.jobs().runDirectory());
    assertEquals(Path.of("/l/imageserver"), config.images().imageServer());
    assertEquals(Path.of("/l"), config.jobs().libraryDirectory());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "cache-budget = 20X",
        "cache-budget = 9999999999T",
        "user-cache-share = 101",
        "user-images = 0",
        "image-memory = -1",
        "background-rate = fast",
        "read-timeout = 86401",
        "instant-start = yes",
        "mount-home = 1",
        "mount-cwd = no",
        "node-time-zone = UTC",
        "containers-per-job = 1001",
        "scratch-directories = run",
        "scratch-directories = /a/../b",
        "scratch-size = 0",
        "site-mounts = /a:/b",
        "site-mounts = image:genomes:/data:ro",
        "site-mounts = image:site/genomes:/data:rw",
        "scontrol = bin/scontrol",
        "slurm-comment = Comment",
        "log-format = xml",
        "writable-directory = changes",
        "writable-directory = /var/../tmp",
        "writable-directory = /no/such/directory",
        "writable-directory = /etc/passwd",
        "writable-directory = /proc",
        "writable-directory = /tmp",
        "writable-size = 0",
        "user-writable-share = 101",
        "no-such-key = 1"
      })
  void aBadValueIsRefusedByItsFileKeyAndValue(String line) {
    Abort abort = assertThrows(Abort.class, () -> read(line));
    assertEquals(ExitCode.MISCONFIGURED, abort.exitCode());
    String[] keyAndValue = line.split(" = ", 2);
    assertTrue(abort.getMessage().contains("launcher.conf"), abort.getMessage());
    String named = keyAndValue[0].startsWith("no-") ? keyAndValue[0] : line.replace(" = ", " \"");
    assertTrue(abort.getMessage().contains(named), abort.getMessage());
  }

  @ParameterizedTest
  @CsvSource({
    "'chmod 775 .', others may write",
    "'chmod 777 ..', others may write",
    "'chown 4001 .', not root's",
    "'chown 4001 ..', not root's",
    "'mv ../it ../other; ln -s other ../it', symbolic link",
    "'mv ../../a ../../b; ln -s b ../../a', symbolic link",
    "'mount -t tmpfs -o mode=700 none .', is on tmpfs",
    "'mkdir u w; mount -t overlay -o lowerdir=/etc,upperdir=u,workdir=w none .', is on overlay"
  })
  void whereOthersCouldReachChangesOrRoomIsNotReservedTheyAreNotKept(String act, String cause)
      throws Exception {
    Path it = Files.createDirectories(directory.resolve("a/it"));
    String line = "writable-directory = " + it;
    assertEquals(it, read(line).jobs().changesDisk().orElseThrow().directory());
    assertEquals(8L << 30, read(line).jobs().changesDisk().orElseThrow().defaultBytes());
    Process shell = new ProcessBuilder("sh", "-ec", act).directory(it.toFile()).start();
    assertEquals(0, shell.waitFor());
    try {
      Abort abort = assertThrows(Abort.class, () -> read(line));
      assertTrue(abort.getMessage().contains("writable-directory \"" + it), abort.getMessage());
      assertTrue(abort.getMessage().contains(cause), abort.getMessage());
    } finally {
      Libc.detach(it);
    }
  }

  @Test
  void aMissingFileIsNotTakenForAnEmptyOne() {
    Abort abort = assertThrows(Abort.class, () -> Config.read(directory.resolve("none")));
    assertEquals(ExitCode.MISCONFIGURED, abort.exitCode());
  }
}
