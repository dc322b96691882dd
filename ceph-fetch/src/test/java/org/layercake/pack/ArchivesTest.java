package org.layercake.pack;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.layercake.cli.CommandTest;

/** One image, as many tools keep it, is one image. */
class ArchivesTest extends CommandTest {
  private static final Path MAKER = Path.of("src/test/resources/archives.py");

  private String digest;

  @BeforeEach
  void pushTheImage() throws Exception {
    digest = push(made("plain", "plain"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "two-tags",
        "docker25-untagged",
        "docker25-order",
        "docker29",
        "cosigned",
        "variants",
        "jib",
        "crane",
        "bazel",
        "nix",
        "links",
        "docker19",
        "skopeo-dir",
        "skopeo-dir-all",
        "unmarked"
      })
  void whateverAToolWritesIsTheImage(String form) throws Exception {
    Path tar = made(form, form + ".tar");
    assertEquals(digest, push(tar));
    assertEquals(digest, push(made(form, form)));
    stdin = Files.newInputStream(compressed(tar));
    assertEquals(digest, push(Path.of("-")));
  }

  @Test
  void theTreeIsThatOfAllLayers() throws Exception {
    Path image = work.resolve("pulled.sqfs");
    assertEquals(0, layercake("pull", "t", image.toString()), this::said);
    assertEquals("upper", new String(run("unsquashfs", "-cat", image + "", "etc/release"), UTF_8));
    assertEquals(0, layercake("inspect", "t"));
    assertTrue(printed().contains("environment   A=b\n"), this::said);
  }

  @Test
  void ofSeveralImagesTheOneThatIsNamedIsTaken() throws Exception {
    Path several = made("several", "several");
    assertRefused(several, "holds 2 images for amd64: x:1 (amd64), y:2 (amd64) (choose one: --tag");
    for (String name : List.of("x:1", "1", "library/x:1", "docker.io/library/x:1")) {
      assertEquals(0, layercake("push", "--tag", name, several + "", "t"), this::said);
      assertEquals(digest, pushedDigest());
    }
    assertEquals(0, layercake("push", "oci:" + several + ":x:1", "t"), this::said);
    assertEquals(digest, pushedDigest());
    assertEquals(65, layercake("push", "--tag=z", several + "", "t"), this::said);
    assertTrue(
        said()
            .contains(
                "no image called \"z\", but x:1 (amd64), y:2 (amd64), x:1 (arm64) (choose one"),
        this::said);
  }

  @Test
  void ofSeveralPlatformsTheOneThatIsNamedIsTaken() throws Exception {
    Path several = made("several", "several");
    for (String arch : List.of("arm64", "aarch64", "linux/arm64")) {
      assertEquals(0, layercake("push", "--platform", arch, several + "", "t"), this::said);
      layercake("inspect", "--arch=aarch64", "t");
      assertTrue(printed().contains("architecture  aarch64\n"), this::said);
    }
    assertEquals(65, layercake("push", "--arch=s390x", several + "", "t"), this::said);
    assertTrue(said().contains("no image for s390x, but x:1 (amd64), y:2 (amd64), x:1 (arm64)"));
    assertEquals(64, layercake("push", "--arch=a b", several + "", "t"), this::said);
    Path variants = made("variants", "variants");
    assertEquals(0, layercake("push", "--arch=amd64/v3", variants + "", "v3"), this::said);
    assertTrue(!pushedDigest().equals(digest), this::said);
  }

  @Test
  void whatIsNoImageIsNotTakenForOne() throws Exception {
    Path layout = made("cosigned", "cosigned");
    String index = Files.readString(layout.resolve("index.json"));
    int first = index.indexOf("{", index.indexOf('['));
    int second = index.indexOf("{\"mediaType\"", first + 1);
    Files.writeString(
        layout.resolve("index.json"), index.substring(0, first) + index.substring(second));
    assertRefused(layout, "holds no image, but application/spdx, application/vnd.dev.cosign");
  }

  @Test
  void aLayerThatNoDigestProvesNeedsItsEndMark() throws Exception {
    assertRefused(made("unmarked-unproved", "u.tar"), "truncated");
  }

  @Test
  void aProvedLayerThatIsCutOffIsRefused() throws Exception {
    Path saved = made("nix", "nix");
    for (Path layer : files(saved, "layer.tar")) {
      byte[] bytes = Files.readAllBytes(layer);
      Files.write(layer, Arrays.copyOf(bytes, bytes.length - 1024));
    }
    assertRefused(saved, "does not match its digest");
  }

  @Test
  void layersThatAreAboveEachOtherAreRefused() throws Exception {
    Path saved = made("docker19", "docker19");
    for (Path about : files(saved, "json")) {
      String id = about.getParent().getFileName().toString();
      Files.writeString(about, "{\"parent\":\"" + id + "\"}");
    }
    assertRefused(saved, "is below itself");
  }

  @Test
  void aFileTreeWithAManifestOfItsOwnStaysAFileTree() throws Exception {
    Path tree = exampleTree();
    Files.writeString(tree.resolve("manifest.json"), "[{\"Config\": 1}, \"other\"]");
    push(tree);
    run("sh", "-c", "cd \"$0\"; tar -cf ../t.tar manifest.json bin ch data", tree.toString());
    push(work.resolve("t.tar"));
    Path image = work.resolve("pulled.sqfs");
    assertEquals(0, layercake("pull", "t", image.toString()), this::said);
    assertArrayEquals(
        Files.readAllBytes(tree.resolve("data")), run("unsquashfs", "-cat", image + "", "data"));
  }

  private static List<Path> files(Path directory, String name) throws IOException {
    try (Stream<Path> found = Files.find(directory, 2, (path, a) -> path.endsWith(name))) {
      return found.toList();
    }
  }

  private Path made(String form, String name) throws Exception {
    Path out = work.resolve(name);
    run("python3", MAKER.toString(), out.toString(), form);
    return out;
  }

  private Path compressed(Path tar) throws Exception {
    Path compressed = work.resolve(tar.getFileName() + ".gz");
    Files.write(compressed, run("gzip", "-c", tar.toString()));
    return compressed;
  }
}
