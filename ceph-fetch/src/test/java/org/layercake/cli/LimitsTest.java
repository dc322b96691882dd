package org.layercake.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a push may take of the machine. */
class LimitsTest extends CommandTest {
  @Test
  void processorsAreWhatTheUserSaysElseWhatTheSiteDoes() throws Exception {
    Path library = library("pack", "echo \"$@\" >" + work + "/asked; exec \"$REAL\" \"$@\"");
    environment.put("LAYERCAKE_LIBRARY", library.toString());
    Path tree = exampleTree();
    String digest = push(tree);
    assertTrue(asked().endsWith("image.sqfs"), asked());
    Files.writeString(
        Path.of(environment.get("LAYERCAKE_CONFIG")),
        "store = directory\ndirectory = " + work.resolve("store") + "\nprocessors = 3\n");
    assertEquals(digest, push(tree));
    assertTrue(asked().endsWith("image.sqfs 3"), asked());
    assertEquals(0, layercake("push", "--processors", "1", tree + "", "t"), this::said);
    assertTrue(asked().endsWith("image.sqfs 1"), asked());
    assertEquals(digest, pushedDigest());
  }

  private String asked() throws Exception {
    return Files.readString(work.resolve("asked")).strip();
  }

  @Test
  void aDecompressorThatWouldTakeMoreMemoryIsRefused() throws Exception {
    String make = "tar -C " + exampleTree() + " -c . | zstd -q --long=30 >" + work + "/t.zst";
    run("sh", "-c", make);
    Path file = work.resolve("t.zst");
    assertEquals(65, layercake("push", "--memory", "64M", file.toString(), "t"), this::said);
    assertTrue(said().contains("requires too much memory"), this::said);
    assertEquals(0, layercake("push", "--memory", "1G", file.toString(), "t"), this::said);
  }

  @ParameterizedTest
  @CsvSource({
    "--processors, 0, a number from 1 to",
    "--processors, many, a number from 1 to",
    "--memory, 5, a size from 1M on",
    "--memory, 1Q, a size from 1M on"
  })
  void whatIsNoLimitIsRefused(String option, String value, String reason) throws Exception {
    String tree = exampleTree().toString();
    assertEquals(64, layercake("push", option, value, tree, "t"), this::said);
    assertTrue(said().contains(option + " " + value + " is not " + reason), this::said);
    Files.writeString(
        Path.of(environment.get("LAYERCAKE_CONFIG")),
        "store = directory\ndirectory = "
            + work.resolve("store")
            + "\n"
            + option.substring(2)
            + " = "
            + value);
    assertEquals(78, layercake("push", tree, "t"), this::said);
  }

  @Test
  void aMissingTmpdirIsNamed() throws Exception {
    environment.put("TMPDIR", work.resolve("missing").toString());
    assertEquals(73, layercake("push", exampleTree().toString(), "t"), this::said);
    String place = "cannot make a directory in TMPDIR, " + work.resolve("missing");
    assertTrue(said().contains(place + ": no such directory (set TMPDIR"), this::said);
  }
}
