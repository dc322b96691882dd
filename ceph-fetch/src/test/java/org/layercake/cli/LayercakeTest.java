package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The command as users know it. */
class LayercakeTest extends CommandTest {
  private Path tree;

  @BeforeEach
  void makeTree() throws Exception {
    tree = exampleTree();
  }

  @Test
  void directoryIsPushedListedInspectedAndPulled() throws Exception {
    assertEquals(0, layercake("push", tree.toString(), "tools:1"), this::said);
    assertTrue(
        printed()
            .matches(
                "pushed alice/tools:1@sha256:[0-9a-f]{64} 3\\.1 MB, 3\\.1 MB new \\(100 %\\)\n"),
        this::said);
    assertEquals(0, layercake("ls"));
    assertTrue(printed().contains("\nalice/tools:1 "), this::said);
    assertEquals(0, layercake("inspect", "tools:1"));
    assertTrue(printed().contains("environment   B=two words\n"), this::said);
    assertTrue(printed().contains("the images of alice"), this::said);
    Path pulled = work.resolve("pulled.sqfs");
    assertEquals(0, layercake("pull", "tools:1", pulled.toString()), this::said);
    assertArrayEquals(
        Files.readAllBytes(tree.resolve("data")), run("unsquashfs", "-cat", pulled + "", "data"));
  }

  @Test
  void jsonIsPrintedWhereThingsAreListed() {
    layercake("push", tree.toString(), "tools");
    assertEquals(0, layercake("ls", "--json"));
    assertTrue(printed().contains("\"name\" : \"alice/tools:latest\""), this::said);
    assertEquals(0, layercake("inspect", "--json", "tools"));
    assertTrue(printed().contains("\"PATH=/x:/bin\""), this::said);
  }

  @ParameterizedTest
  @CsvSource({"plain,", "gz,gzip", "xz,xz", "zst,zstd", "bz2,bzip2"})
  void tarFilesOfAllKindsAreTheSameImage(String suffix, String compressor) throws Exception {
    Path tar = tar();
    layercake("push", tar.toString(), "reference");
    String reference = pushedDigest();
    Path source = tar;
    if (compressor != null) {
      source = work.resolve("t.tar." + suffix);
      Files.write(source, run(compressor, "-c", tar.toString()));
    }
    assertEquals(0, layercake("push", source.toString(), "t"), this::said);
    assertTrue(printed().contains(reference + " "), this::said);
    assertTrue(printed().endsWith(" 0 B new (0 %)\n"), this::said);
  }

  @Test
  void modificationTimesAndSetuidBitsStayAndOwnersBecomeRoot() throws Exception {
    run("touch", "-d", "2001-02-03 04:05", tree.resolve("bin/hello").toString());
    run("chmod", "4755", tree.resolve("bin/hello").toString());
    layercake("push", tree.toString(), "t");
    layercake("pull", "t", work.resolve("t.sqfs").toString());
    String listing =
        new String(run("unsquashfs", "-UTC", "-lln", work.resolve("t.sqfs").toString()), UTF_8);
    assertTrue(listing.matches("(?s).*-rwsr-xr-x 0/0 +21 2001-02-03 .*bin/hello.*"), () -> listing);
  }

  @Test
  void squashfsFileIsPushedAsItIs() throws Exception {
    Path image = work.resolve("own.sqfs");
    run("mksquashfs", tree.toString(), image.toString(), "-quiet", "-no-progress");
    assertEquals(0, layercake("push", image.toString(), "own"), this::said);
    layercake("pull", "own", work.resolve("back").toString());
    assertEquals(-1, Files.mismatch(image, work.resolve("back")));
  }

  @Test
  void damagedSourcesAreRefusedAndNothingIsPushed() throws Exception {
    Path tar = tar();
    byte[] bytes = Files.readAllBytes(tar);
    byte[] zipped = run("gzip", "-c", tar.toString());
    Path image = work.resolve("i.sqfs");
    run("mksquashfs", tree.toString(), image.toString(), "-quiet", "-no-progress");
    byte[] squashed = Files.readAllBytes(image);
    for (byte[] source :
        List.of(
            new byte[0],
            new byte[100_000],
            "not an image".getBytes(UTF_8),
            Arrays.copyOf(bytes, bytes.length / 2),
            withoutTrailingZeros(bytes),
            Arrays.copyOf(zipped, zipped.length / 2),
            Arrays.copyOf(zipped, zipped.length - 4),
            joined(zipped, "junk".getBytes(UTF_8)),
            joined(run("bzip2", "-c", tar.toString()), "junk".getBytes(UTF_8)),
            joined(bytes, "junk".getBytes(UTF_8)),
            joined(bytes, bytes),
            Arrays.copyOf(squashed, squashed.length / 2))) {
      Path file = Files.write(work.resolve("bad"), source);
      assertEquals(65, layercake("push", file.toString(), "bad"), this::said);
      assertOneLine("layercake: cannot push " + file + ": ");
    }
    assertEquals(0, layercake("ls"));
    assertEquals("", printed());
  }

  @Test
  void aTarOnTheStandardInputIsTheSameImage() throws Exception {
    Path tar = tar();
    layercake("push", tar.toString(), "reference");
    String reference = pushedDigest();
    stdin = new ByteArrayInputStream(run("gzip", "-c", tar.toString()));
    assertEquals(0, layercake("push", "-", "piped"), this::said);
    assertTrue(printed().contains(reference + " "), this::said);
  }

  @Test
  void missingSourceIs66AndUnreadableConfigurationIs78() throws Exception {
    assertEquals(66, layercake("push", work.resolve("none").toString(), "x"));
    assertOneLine("layercake: cannot push " + work.resolve("none") + ": no such file");
    environment.put("LAYERCAKE_CONFIG", work.resolve("none").toString());
    assertEquals(78, layercake("ls"));
    assertOneLine("layercake: cannot read configuration ");
  }

  @Test
  void unknownImageIs66WithANearName() {
    layercake("push", tree.toString(), "debian:12");
    assertEquals(66, layercake("inspect", "debain:12"));
    assertOneLine(
        "layercake: cannot find image \"debain:12\": not among the images of alice or the site's"
            + " images (did you mean alice/debian:12?)");
  }

  @Test
  void usageErrorsAre64AndOneLine() {
    for (String[] arguments :
        List.of(
            new String[] {},
            new String[] {"push"},
            new String[] {"push", "x", "a b"},
            new String[] {"frobnicate"},
            new String[] {"ls", "--yaml"},
            new String[] {"push", tree.toString(), "x@sha256:" + "0".repeat(64)})) {
      assertEquals(64, layercake(arguments), this::said);
      assertOneLine("layercake: cannot ");
    }
  }

  @Test
  void imagesOfOthersAre77() {
    assertEquals(77, layercake("pull", "bob/deb", work.resolve("x").toString()));
    assertFalse(Files.exists(work.resolve("x")));
  }

  @Test
  void failedPullLeavesAPartialFileThatTheNextOneFinishes() throws Exception {
    layercake("push", tree.toString(), "a");
    Path chunks = work.resolve("store/u.alice/c");
    try (Stream<Path> files = Files.list(chunks)) {
      Files.write(files.findFirst().orElseThrow(), new byte[7]);
    }
    Path directory = Files.createDirectory(work.resolve("pulled"));
    assertEquals(74, layercake("pull", "a", directory.resolve("a.sqfs").toString()), this::said);
    assertEquals(1, names(directory).stream().filter(name -> name.endsWith(".partial")).count());
    assertEquals(1, names(directory).size());
    assertEquals(0, layercake("push", "--repair", tree.toString(), "a"), this::said);
    Files.writeString(directory.resolve(".a.sqfs.0123456789abcdef.partial"), "of another version");
    assertEquals(0, layercake("pull", "a", directory.resolve("a.sqfs").toString()), this::said);
    assertEquals(List.of("a.sqfs"), names(directory));
  }

  @Test
  void aFileThatIsNotOursIsNotPulledInto() throws Exception {
    layercake("push", tree.toString(), "a");
    Path directory = Files.createDirectory(work.resolve("shared"));
    Path target = directory.resolve("a.sqfs");
    layercake("inspect", "--json", "a");
    String digest = printed().replaceAll("(?s).*\"sha256:([0-9a-f]{16}).*", "$1");
    Path partial = directory.resolve(".a.sqfs." + digest + ".partial");
    Path elsewhere = Files.createFile(work.resolve("elsewhere"));
    Files.createLink(partial, elsewhere);
    assertEquals(73, layercake("pull", "a", target.toString()), this::said);
    assertTrue(said().contains(partial + ": somebody else has made it"), this::said);
    assertEquals(0, Files.size(elsewhere));
    Files.delete(partial);
    Files.createSymbolicLink(partial, elsewhere);
    assertEquals(73, layercake("pull", "a", target.toString()), this::said);
    assertEquals(0, Files.size(elsewhere));
    Files.delete(partial);
    assertEquals(0, layercake("pull", "a", target.toString()), this::said);
  }

  @Test
  void nothingInvisibleOfAnImageIsPrinted() throws Exception {
    String odd = "a\u202e\u2028\u200b\u009bb";
    Files.createDirectories(tree.resolve("ch"));
    Files.writeString(tree.resolve("ch/environment"), "X=" + odd.replace("\u009b", "") + "\n");
    assertEquals(0, layercake("push", tree.toString(), "a"), this::said);
    layercake("inspect", "a");
    assertTrue(printed().contains("environment   X=a???b\n"), this::said);
    layercake("inspect", "--json", "a");
    assertTrue(printed().contains("X=a\\u202E\\u2028\\u200Bb"), this::said);
    layercake("push", work.resolve(odd).toString(), "b");
    assertTrue(said().contains("/a??? b: no such file"), this::said);
  }

  private static List<String> names(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(file -> file.getFileName().toString()).toList();
    }
  }

  @Test
  void verifyFindsADamagedChunkAndRepairMendsIt() throws Exception {
    layercake("push", tree.toString(), "a");
    assertEquals(0, layercake("verify", "a"), this::said);
    assertTrue(printed().contains(" is whole: "), this::said);
    try (Stream<Path> files = Files.list(work.resolve("store/u.alice/c"))) {
      Files.write(files.findFirst().orElseThrow(), new byte[7]);
    }
    assertEquals(74, layercake("verify", "a"), this::said);
    assertEquals(0, layercake("push", "--repair", tree.toString(), "a"), this::said);
    assertEquals(0, layercake("verify", "a"), this::said);
  }

  @Test
  void completionScriptCompletesCommandsAndOptions() throws Exception {
    assertEquals(0, layercake("generate-completion"), this::said);
    Path script = Files.writeString(work.resolve("completion"), printed());
    String complete =
        "source '%s'; COMP_WORDS=(layercake %s); COMP_CWORD=%d; _complete_layercake;"
            + " echo \"${COMPREPLY[@]}\"";
    assertEquals(
        "push pull\n", new String(run("bash", "-c", complete.formatted(script, "pu", 1)), UTF_8));
    assertTrue(
        new String(run("bash", "-c", complete.formatted(script, "push --re", 2)), UTF_8)
            .contains("--repair"));
  }

  @Test
  void namesOfImagesAreCompletedAndAskedForOnce() throws Exception {
    layercake("push", tree.toString(), "deb:11");
    layercake("tag", "deb:11", "deb:12");
    layercake("tag", "deb:11", "other");
    Path bin = Files.createDirectory(work.resolve("bin"));
    Path command =
        Files.writeString(
            bin.resolve("layercake"),
            "#!/bin/sh\necho \"$1\" >>%s\nexec java -Duser.name=alice -cp '%s' %s \"$@\"\n"
                .formatted(
                    work.resolve("calls"),
                    System.getProperty("java.class.path"),
                    Layercake.class.getName()));
    assertTrue(command.toFile().setExecutable(true));
    String script =
        """
        export PATH=%s:$PATH LAYERCAKE_CONFIG=%s USER=alice
        source ../launcher/src/main/dist/usr/share/bash-completion/completions/layercake
        try() {
          COMP_LINE="layercake $1" COMP_POINT=${#COMP_LINE} COMP_WORDBREAKS=$' :' COMPREPLY=()
          read -ra COMP_WORDS <<<"${COMP_LINE//:/ : }"
          COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
          _layercake 2>/dev/null
          echo "$1 = ${COMPREPLY[*]}"
        }
        try 'rm deb'
        for line in 'rm other deb:1' 'inspect --json oth' 'pull deb:11 oth' 'share de' 'push oth'; do
          try "$line"
        done
        """
            .formatted(bin, environment.get("LAYERCAKE_CONFIG"));
    assertEquals(
        """
        rm deb = deb:11 deb:12
        rm other deb:1 = 11 12
        inspect --json oth = other:latest
        pull deb:11 oth =\s
        share de = deb
        push oth =\s
        """,
        new String(run("bash", "-c", script), UTF_8));
    assertEquals(List.of("generate-completion", "ls"), Files.readAllLines(work.resolve("calls")));
  }

  private Path tar() throws Exception {
    Path tar = work.resolve("t.tar");
    run("tar", "-C", tree.toString(), "-cf", tar.toString(), ".");
    return tar;
  }

  private static byte[] joined(byte[] one, byte[] other) {
    byte[] both = Arrays.copyOf(one, one.length + other.length);
    System.arraycopy(other, 0, both, one.length, other.length);
    return both;
  }

  private static byte[] withoutTrailingZeros(byte[] tar) {
    int end = tar.length;
    while (tar[end - 1] == 0) {
      end--;
    }
    return Arrays.copyOf(tar, (end + 511) / 512 * 512);
  }

  private void assertOneLine(String beginning) {
    List<String> lines = complaints();
    assertEquals(1, lines.size(), this::said);
    assertTrue(lines.get(0).startsWith(beginning), this::said);
  }
}
