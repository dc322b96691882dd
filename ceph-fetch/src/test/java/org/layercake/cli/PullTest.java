package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Images that leave the store, by other ways than as a file, and those that change owners. */
class PullTest extends CommandTest {
  private Path tree;

  @BeforeEach
  void makeTree() throws Exception {
    tree = exampleTree();
    Files.createSymbolicLink(tree.resolve("bin/link"), Path.of("hello"));
    Files.createLink(tree.resolve("again"), tree.resolve("data"));
    run("chmod", "4755", tree.resolve("bin/hello").toString());
    Files.createDirectory(tree.resolve("closed"));
    Files.writeString(tree.resolve("closed/in"), "x");
    Files.setPosixFilePermissions(
        tree.resolve("closed"), PosixFilePermissions.fromString("r-xr-xr-x"));
  }

  private List<String> left() throws IOException {
    try (Stream<Path> files = Files.list(work)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(n -> n.startsWith("."))
          .toList();
    }
  }

  @Test
  void anImageOnTheStandardOutputIsTheFile() throws Exception {
    byte[] more = new byte[40 << 20]; // more chunks than are waited for at once
    new Random(3).nextBytes(more);
    Files.write(tree.resolve("more"), more);
    assertEquals(0, layercake("push", tree.toString(), "a"), this::said);
    assertEquals(0, layercake("pull", "a", work.resolve("a.sqfs").toString()), this::said);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    output = new Output(bytes, UTF_8);
    assertEquals(0, layercake("pull", "a", "-"), this::said);
    assertTrue(Arrays.equals(Files.readAllBytes(work.resolve("a.sqfs")), bytes.toByteArray()));
    assertEquals(64, layercake("pull", "--json", "a", "-"), this::said);
    assertFalse(Files.exists(Path.of("-")));
    try (OutputStream full = new FileOutputStream("/dev/full")) {
      output = new Output(full, UTF_8);
      assertEquals(73, layercake("pull", "a", "-"), this::said);
    }
    assertTrue(said().endsWith("No space left on device (send it elsewhere)\n"), this::said);
    assertEquals(1, complaints().stream().filter(l -> l.startsWith("layercake: ")).count());
  }

  @Test
  void anImageIsUnpackedAsTheUsersOwn() throws Exception {
    assertEquals(0, layercake("push", tree.toString(), "a"), this::said);
    Path unpacked = work.resolve("new");
    assertEquals(0, layercake("pull", "a", unpacked + "/"), this::said);
    run("diff", "-r", "--no-dereference", tree.toString(), unpacked.toString());
    assertEquals("755", new String(run("stat", "-c%a", unpacked + "/bin/hello"), UTF_8).strip());
    assertEquals("555", new String(run("stat", "-c%a", unpacked + "/closed"), UTF_8).strip());
    assertTrue(Files.isSameFile(unpacked.resolve("again"), unpacked.resolve("data")));
    assertEquals(
        new String(run("sh", "-c", "mkdir " + work + "/made; stat -c%a " + work + "/made"), UTF_8),
        new String(run("stat", "-c%a", unpacked.toString()), UTF_8));
    assertEquals(73, layercake("pull", "a", unpacked + "/"), this::said);
    assertTrue(said().contains("take a new or an empty directory"), this::said);
    assertEquals(0, layercake("pull", "a", work.resolve("made") + "/"), this::said);
    assertEquals(73, layercake("pull", "a", work.resolve("x/y") + "/"), this::said);
    assertEquals(List.of(), left());
  }

  @Test
  void whatIsDamagedLeavesNothingOfADirectoryOrAnArchive() throws Exception {
    Path image = work.resolve("i.sqfs");
    run("mksquashfs", tree.toString(), image.toString(), "-quiet", "-no-progress");
    byte[] bytes = Files.readAllBytes(image);
    assertEquals(0, layercake("push", image.toString(), "a"), this::said);
    try (Stream<Path> chunks = Files.list(work.resolve("store/u.alice/c"))) {
      Files.write(chunks.findFirst().orElseThrow(), new byte[7]);
    }
    assertTrue(bytes.length > 0);
    assertEquals(74, layercake("pull", "a", work.resolve("d") + "/"), this::said);
    assertEquals(74, layercake("pull", "a", "oci-archive:" + work.resolve("o.tar")), this::said);
    assertFalse(Files.exists(work.resolve("d")));
    assertFalse(Files.exists(work.resolve("o.tar")));
    assertEquals(List.of(), left());
  }

  @Test
  void anArchiveOfATreeIsTheSameImageWhenItIsPushedAgain() throws Exception {
    run("rm", "-r", tree.resolve("ch").toString()); // which would add its variables once more
    assertEquals(0, layercake("push", tree.toString(), "a"), this::said);
    String digest = pushedDigest();
    Path archive = work.resolve("a.tar");
    assertEquals(0, layercake("pull", "a", "oci-archive:" + archive), this::said);
    byte[] first = Files.readAllBytes(archive);
    assertEquals(0, layercake("push", "oci-archive:" + archive, "b"), this::said);
    assertEquals(digest, pushedDigest());
    assertEquals(0, layercake("pull", "a", "oci-archive:" + archive), this::said);
    assertTrue(Arrays.equals(first, Files.readAllBytes(archive)));
  }

  @Test
  void anArchiveOfLayersIsTheSameToOthersAndHoldsTheSame() throws Exception {
    Path layout = work.resolve("layout");
    run("python3", "src/test/resources/oci_layout.py", layout.toString(), "good");
    assertEquals(0, layercake("push", layout.toString(), "a"), this::said);
    Path archive = work.resolve("a.tar");
    assertEquals(0, layercake("pull", "a", "oci-archive:" + archive), this::said);
    assertEquals(configuration("oci:" + layout), configuration("oci-archive:" + archive));
    run("skopeo", "copy", "-q", "oci-archive:" + archive, "dir:" + work.resolve("copied"));
    assertEquals(0, layercake("push", "oci-archive:" + archive, "b"), this::said);
    assertEquals(proof("a"), proof("b"));
  }

  private static String configuration(String place) throws Exception {
    return new String(run("skopeo", "inspect", "--config", place), UTF_8)
        .replaceAll("(?s)\"rootfs\".*", "");
  }

  private String proof(String name) throws Exception {
    Path file = work.resolve(name + ".sqfs");
    assertEquals(0, layercake("pull", name, file.toString()), this::said);
    return new String(run(LIBRARY.resolve("prove").toString(), file.toString()), UTF_8);
  }

  @ParameterizedTest
  @CsvSource({"docker://r/a", "docker-archive:a.tar", "oci:dir", "containers-storage:a"})
  void otherPlacesAreAnsweredWithTheLineToType(String place) {
    layercake("push", tree.toString(), "a");
    assertEquals(64, layercake("pull", "a", place), this::said);
    assertTrue(
        said()
            .contains(
                "layercake pull a:latest oci-archive:FILE && skopeo copy oci-archive:FILE "
                    + place),
        this::said);
  }

  @Test
  void aCopyUnderTheSameOwnerIsATagAndUnderAnotherTheSameImage() throws Exception {
    layercake("push", tree.toString(), "a");
    String digest = pushedDigest();
    assertEquals(0, layercake("copy", "a", "b:2"), this::said);
    assertEquals("tagged alice/b:2@" + digest + "\n", printed());
    assertEquals(64, layercake("tag", "a", "site/a"), this::said);
    assertTrue(said().contains("(layercake copy alice/a:latest site/a:latest)"), this::said);
    assertEquals(0, layercake("copy", "a", "site/c"), this::said);
    assertTrue(
        printed()
            .matches(
                "copied alice/a:latest to site/c:latest@" + digest + " 3\\.1 MB, 3\\.1 MB new\n"),
        this::said);
    assertEquals(0, layercake("copy", "site/c", "back"), this::said);
    assertTrue(printed().endsWith("@" + digest + " 3.1 MB, 0 B new\n"), this::said);
    assertEquals(0, layercake("verify", "site/c"), this::said);
    assertEquals(77, layercake("copy", "bob/x", "y"), this::said);
    assertEquals(77, layercake("copy", "a", "bob/y"), this::said);
  }
}
