package org.layercake.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What users do with images that are stored: list, share, tag, remove and collect them. */
class StoredImagesTest extends CommandTest {
  private Path tree;

  @BeforeEach
  void makeTree() throws Exception {
    tree = exampleTree();
  }

  @Test
  void tagAndRemoveMoveOnlyNames() {
    layercake("push", tree.toString(), "a");
    assertEquals(0, layercake("tag", "a", "b:2"));
    assertEquals(0, layercake("rm", "a"));
    assertEquals(66, layercake("rm", "a"));
    assertEquals(0, layercake("inspect", "b:2"));
  }

  @Test
  void severalNamesAreRemovedWhateverBecomesOfOthers() {
    layercake("push", tree.toString(), "a");
    layercake("tag", "a", "b");
    assertEquals(66, layercake("rm", "a", "gone", "b"), this::said);
    assertTrue(
        printed().matches("removed alice/a:latest@sha256:\\S+\nremoved alice/b:latest@\\S+\n"),
        this::said);
    assertEquals(1, complaints().size(), this::said);
    layercake("ls");
    assertEquals("", printed());
  }

  @Test
  void listsHaveAHeaderAgesAndTheBeginningOfDigests() throws Exception {
    layercake("push", tree.toString(), "a");
    String digest = pushedDigest().substring("sha256:".length());
    layercake("tag", "a", "a-much-longer-name-than-the-other:1.0-rc1");
    Files.setLastModifiedTime(
        work.resolve("store/u.alice/m").resolve(digest),
        FileTime.from(Instant.now().minusSeconds(3 * 86_400 + 5)));
    assertEquals(0, layercake("ls"), this::said);
    List<String> lines = printed().lines().toList();
    assertEquals(3, lines.size(), this::said);
    assertTrue(lines.get(0).matches("IMAGE +SIZE +AGE +DIGEST"), this::said);
    for (String line : lines.subList(1, 3)) {
      assertTrue(line.matches("alice/\\S+ +3\\.1 MB +3 d  " + digest.substring(0, 12)), this::said);
      assertEquals(lines.get(0).indexOf("DIGEST"), line.indexOf(digest.substring(0, 12)));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "deb, deb:11 deb:latest",
    "deb:1?, deb:11",
    "*:latest, deb:latest debug:latest",
    "alice/deb*:*, deb:11 deb:latest debug:latest",
    "site/*, ''",
    "d.b, ''",
    "*************************************************b*, deb:11 deb:latest debug:latest"
  })
  void onlyWhatIsLikeAPatternIsListed(String pattern, String found) {
    layercake("push", tree.toString(), "deb");
    layercake("tag", "deb", "deb:11");
    layercake("tag", "deb", "debug");
    assertEquals(found.isEmpty() ? 66 : 0, layercake("ls", "-q", pattern), this::said);
    assertEquals(found, printed().replace("alice/", "").strip().replace('\n', ' '));
  }

  @Test
  void aNameHasAnImageForEachProcessorThatIsPushed() throws Exception {
    layercake("push", tree.toString(), "t:1");
    byte[] header = new byte[100];
    System.arraycopy(new byte[] {0x7f, 'E', 'L', 'F', 2, 1, 1}, 0, header, 0, 7);
    for (int[] machine : new int[][] {{183, 1}, {243, 2}, {183, 3}}) {
      header[18] = (byte) machine[0];
      header[50] = (byte) machine[1];
      Files.write(tree.resolve("bin/program"), header);
      assertTrue(tree.resolve("bin/program").toFile().setExecutable(true));
      String arch = machine[0] == 183 ? "arm64" : "riscv64";
      assertEquals(0, layercake("push", "--arch", arch, tree.toString(), "t:1"), this::said);
    }
    String arm = pushedDigest();
    assertEquals(0, layercake("ls"), this::said);
    assertTrue(printed().startsWith("IMAGE"), this::said);
    assertEquals(
        List.of(
            "FOR", System.getProperty("os.arch").replace("amd64", "x86_64"), "aarch64", "riscv64"),
        printed().lines().map(line -> line.replaceAll(".* ", "")).toList());
    assertEquals(0, layercake("inspect", "--arch", "arm64", "t:1"), this::said);
    assertTrue(printed().contains("digest        " + arm + "\n"), this::said);
    assertTrue(printed().contains("\nalso for      riscv64 sha256:"), this::said);
    assertEquals(66, layercake("pull", "--arch", "s390x", "t:1", work + "/x"), this::said);
    assertTrue(said().contains("for s390x: there is one for "), this::said);
    assertEquals(64, layercake("pull", "--arch", "a b", "t:1", work + "/x"), this::said);
    assertEquals(0, layercake("tag", "t:1", "t:2"), this::said);
    assertEquals(0, layercake("rm", "--arch", "arm64", "t:2"), this::said);
    assertEquals("removed alice/t:2@" + arm + "\n", printed());
    layercake("ls", "--json", "t:2");
    assertTrue(printed().contains("\"architecture\" : \"riscv64\""), this::said);
    assertFalse(printed().contains("aarch64"), this::said);
    assertEquals(0, layercake("du"), this::said);
    assertEquals(0, layercake("rm", "t:1", "t:2"), this::said);
    assertEquals(5, printed().lines().count(), this::said);
  }

  @Test
  void aListThatIsCutOffSaysSo() throws Exception {
    layercake("push", tree.toString(), "a");
    Path tags = work.resolve("store/u.alice/t/b");
    Files.createDirectory(tags);
    byte[] tag = Files.readAllBytes(work.resolve("store/u.alice/t/a/latest"));
    for (int i = 0; i < 10_000; i++) {
      Files.write(tags.resolve(Integer.toString(i)), tag);
    }
    for (String command : List.of("ls", "du")) {
      assertEquals(74, layercake(command), this::said);
      assertTrue(said().contains("cannot list all images: more than 10000 entries"), this::said);
    }
  }

  @Test
  void shareSaysWithWhomAndUnshareTakesItBack() throws Exception {
    layercake("push", tree.toString(), "t:1");
    assertEquals(0, layercake("share", "t", "--with", "daemon,group:daemon"), this::said);
    assertEquals("alice/t is shared with group:daemon,user:daemon\n", printed());
    assertEquals(0, layercake("share", "t"));
    assertEquals("alice/t is shared with group:daemon,user:daemon\n", printed());
    layercake("ls");
    assertTrue(printed().contains("  group:daemon,user:daemon\n"), this::said);
    layercake("inspect", "--json", "t:1");
    assertTrue(
        printed().matches("(?s).*\"sharedWith\" : \\[\\s*\"group:daemon\",\\s*\"user:daemon\".*"),
        this::said);
    layercake("unshare", "t", "--with", "daemon");
    assertEquals("alice/t is shared with group:daemon\n", printed());
    layercake("unshare", "t");
    assertEquals("alice/t is private\n", printed());
    assertEquals(66, layercake("share", "tt"), "nobody asks that of what is not there");
  }

  @ParameterizedTest
  @CsvSource({
    "t, no-such-one, 66, no-such-one",
    "t, user:staff, 66, staff",
    "t, '', 66, user or group",
    "t, 0, 66, 0",
    "t:1, all, 64, all its tags",
    "unknown, all, 66, unknown",
    "bob/t, all, 64, your own"
  })
  void sharingWhatCannotBeSharedIsRefused(String name, String who, int code, String word)
      throws Exception {
    layercake("push", tree.toString(), "t");
    assertEquals(code, layercake("share", name, "--with", who), this::said);
    assertTrue(said().contains(word), this::said);
  }

  @Test
  void gcSaysWhatItWouldGiveBackAndWhatIsWaiting() throws Exception {
    layercake("push", tree.toString(), "t");
    layercake("rm", "t");
    assertEquals(0, layercake("gc", "--dry-run"), this::said);
    assertTrue(printed().startsWith("alice: would give back 0 B of 0 images; "), this::said);
    for (Path object : objects()) {
      Files.setLastModifiedTime(object, FileTime.from(Instant.parse("2020-01-01T00:00:00Z")));
    }
    layercake("gc", "--dry-run", "--json");
    assertTrue(printed().contains("\"images\" : 1"), this::said);
    assertEquals(0, layercake("gc", "--grace", "1d"), this::said);
    assertTrue(printed().matches("alice: gave back [0-9.]+ MB of 1 images\n"), this::said);
    assertEquals(List.of(), objects());
  }

  @ParameterizedTest
  @CsvSource({
    "--grace=5h, 24 h",
    "--grace=x, 36h",
    "--grace=-1d, 36h",
    "--owner=a/b, a/b",
    "--all, each owner"
  })
  void gcThatCouldDoHarmIsRefused(String option, String word) {
    assertEquals(64, layercake("gc", option), this::said);
    assertTrue(said().contains(word), this::said);
  }

  private List<Path> objects() throws IOException {
    List<Path> objects = new ArrayList<>();
    for (String kind : List.of("c", "m")) {
      try (Stream<Path> files = Files.list(work.resolve("store/u.alice").resolve(kind))) {
        files.forEach(objects::add);
      }
    }
    return objects;
  }

  @Test
  void keyPrintsWhatAnAdministratorHasToRun() throws Exception {
    Files.writeString(Path.of(environment.get("LAYERCAKE_CONFIG")), "pool = p\n");
    assertEquals(0, layercake("key", "bob"));
    assertTrue(
        printed()
            .contains(
                "ceph auth get-or-create client.layercake.bob mon 'allow r' osd 'allow rw pool=p"
                    + " namespace=u.bob, allow r pool=p namespace=site'"),
        this::said);
    assertTrue(printed().contains("~bob/.config/layercake/keyring"), this::said);
    assertEquals(64, layercake("key", "site"));
    assertEquals(64, layercake("key", "$(reboot)"));
  }

  @Test
  void duSaysWhatEachImageTakesAloneAndAllTogether() throws Exception {
    layercake("push", tree.toString(), "a");
    layercake("tag", "a", "alias");
    Files.write(tree.resolve("extra"), new byte[] {1});
    layercake("push", tree.toString(), "b");
    assertEquals(0, layercake("du"), this::said);
    List<String> lines = printed().lines().toList();
    assertEquals(6, lines.size(), this::said);
    assertTrue(
        lines.get(5).matches("The store holds \\S+ \\S+ of \\S+ \\S+, of all users\\."),
        this::said);
    for (String line : lines.subList(1, 4)) {
      assertTrue(line.matches(" +3\\.1 MB +1\\.\\d MB  alice/(a|alias|b):latest"), this::said);
    }
    assertTrue(lines.get(4).matches(" +[34]\\.\\d MB +together.*"), this::said);
    assertEquals(0, layercake("du", "--json"));
    assertTrue(printed().contains("\"alone\" : "), this::said);
  }
}
