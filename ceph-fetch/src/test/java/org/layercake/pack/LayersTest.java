package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.layercake.cli.CommandTest;

/** Images in layers, pushed, and compared with what other tools make of the same image. */
class LayersTest extends CommandTest {
  private static final Path LAYOUT_MAKER = Path.of("src/test/resources/oci_layout.py");

  private Path layout;

  @BeforeEach
  void nameLayout() {
    layout = work.resolve("layout");
  }

  @Test
  void theTreeIsTheOneThatAnotherToolUnpacks() throws Exception {
    makeLayout("good", "65000");
    assertEquals(push(layout), push(saved()));
    Path image = work.resolve("pulled.sqfs");
    assertEquals(0, layercake("pull", "t", image.toString()), this::said);
    run("unsquashfs", "-quiet", "-no-progress", "-d", work.resolve("ours").toString(), image + "");
    run("umoci", "unpack", "--rootless", "--image", layout + ":t", work.resolve("umoci") + "");
    assertEquals(listing(work.resolve("umoci/rootfs")), listing(work.resolve("ours")));
  }

  @Test
  void whatOtherToolsHaveStumbledOnIsAsTheSpecificationSays() throws Exception {
    makeLayout("stumbling", "0");
    String listed = new String(run("unsquashfs", "-ls", pulled(layout).toString()), UTF_8);
    assertEquals(
        List.of(
            "bin",
            "bin/sh",
            "cache",
            "cache/new",
            "conf",
            "deep",
            "deep/made",
            "deep/made/sh",
            "deep/two",
            "deep/two/sh",
            "plink"),
        listed.lines().skip(1).map(line -> line.replace("squashfs-root/", "")).toList());
    listed = new String(run("unsquashfs", "-lls", work + "/layout.sqfs"), UTF_8);
    assertTrue(listed.contains("squashfs-root/conf -> bin\n"), listed);
  }

  @Test
  void theFormOfTheArchiveDoesNotMatter() throws Exception {
    makeLayout("good", "300");
    String digest = push(layout);
    Path layoutTar = work.resolve("layout.tar");
    run("tar", "-C", layout.toString(), "-cf", layoutTar.toString(), ".");
    assertEquals(digest, push(layoutTar));
    run("zstd", "-q", layoutTar.toString());
    assertEquals(digest, push(work.resolve("layout.tar.zst")));
    assertEquals(digest, push(saved()));
  }

  @Test
  void theConfigurationIsKept() throws Exception {
    makeLayout("good", "10");
    push(layout);
    assertEquals(0, layercake("inspect", "t"));
    for (String line :
        List.of(
            "architecture  x86_64",
            "environment   PATH=/opt/bin:/bin",
            "environment   A=b c",
            "directory     /work",
            "entry point   /bin/sh",
            "command       -c true",
            "user          1000",
            "label         org.example=x y")) {
      assertTrue(printed().contains(line + "\n"), this::said);
    }
  }

  @Test
  void aVariableThatConfigurationAndImageSayIsThereOnce() throws Exception {
    makeLayout("upgrade", "0");
    push(layout);
    assertEquals(0, layercake("inspect", "t"));
    List<String> variables =
        printed().lines().filter(line -> line.startsWith("environment   ")).toList();
    assertEquals(
        List.of("environment   PATH=/opt/bin:/bin", "environment   A=b c", "environment   B=d"),
        variables);
  }

  @Test
  void layersInZstdAreTheSameImage() throws Exception {
    makeLayout("good", "10");
    String digest = push(layout);
    Path other = work.resolve("zstd");
    String script =
        "skopeo --insecure-policy copy -q --dest-compress-format zstd oci:%s:t oci:%s:t";
    run("sh", "-c", script.formatted(layout, other));
    assertEquals(digest, push(other));
  }

  @ParameterizedTest
  @CsvSource({
    "climbing, has \"..\" in its name",
    "missing-link, 'leads to \"nothing\", which is not a file'",
    "endless-link, too many symbolic links",
  })
  void namesAndLinksThatGoNowhereAreRefused(String layers, String reason) throws Exception {
    makeLayout(layers, "0");
    assertRefused(layout, reason);
    assertRefused(layer(), reason);
  }

  @Test
  void linksThatLeadOutStayInsideTheImage() throws Exception {
    String files = sameFromLayoutAndPlainTar("leading-out");
    assertTrue(files.contains("squashfs-root/out\n"), files);
    assertTrue(files.contains("squashfs-root/tmp/out\n"), files);
    assertFalse(Files.exists(Path.of("/tmp/out")));
  }

  @Test
  void absoluteNamesAreFromTheImagesRoot() throws Exception {
    String files = sameFromLayoutAndPlainTar("absolute");
    assertTrue(files.contains("squashfs-root/etc/out\n"), files);
  }

  @Test
  void aPlainTarIsAnImageOfOneLayer() throws Exception {
    sameFromLayoutAndPlainTar("described-late");
    String files = sameFromLayoutAndPlainTar("kinds");
    for (String line :
        List.of(
            "drwxrwsrwt 0/0 .* squashfs-root/d",
            "-rwsr-sr-x 0/0 .* squashfs-root/d/set",
            "prw-rw-rw- 0/0 .* squashfs-root/d/pipe",
            "prw-rw-rw- 0/0 .* squashfs-root/d/pipe2")) {
      assertTrue(files.lines().anyMatch(l -> l.matches(line)), files);
    }
    assertEquals(5, files.lines().count(), files);
  }

  @ParameterizedTest
  @CsvSource({"twice", "file-and-directory"})
  void aFileThatComesTwiceIsTheSameInATarAndInALayer(String layers) throws Exception {
    makeLayout(layers, "0");
    push(layout);
    assertEquals(0, layercake("pull", "t", work + "/ofLayout"), this::said);
    push(layer());
    assertEquals(0, layercake("pull", "t", work + "/ofTar"), this::said);
    assertEquals(-1, Files.mismatch(work.resolve("ofLayout"), work.resolve("ofTar")));
  }

  @ParameterizedTest
  @CsvSource({"upgrade, true", "good, false", "linked-way, false", "twice, false"})
  void eachLayerIsReadOnceUnlessLinksOrSecondFilesDecide(String layers, boolean isEnough)
      throws Exception {
    makeLayout(layers, "10");
    try (Scratch scratch = new Scratch(environment)) {
      Decompressor decompressor = new Decompressor(scratch, bytes -> {});
      LayeredImage image = LayeredImage.read(layout, decompressor, Wanted.ANY).orElseThrow();
      Layers merged = new Layers(image.layers());
      PackStream out = new PackStream(OutputStream.nullOutputStream());
      if (isEnough) {
        merged.packOnce(out);
      } else {
        assertThrows(PackedInVain.class, () -> merged.packOnce(out));
      }
      PackedTree.check(image.layers());
    }
  }

  @Test
  void damagedLayersAreRefused() throws Exception {
    makeLayout("good", "10");
    Path blobs = layout.resolve("blobs/sha256");
    Path layer = largest(blobs);
    byte[] bytes = Files.readAllBytes(layer);
    for (byte[] damaged :
        List.of(
            Arrays.copyOf(bytes, bytes.length / 2),
            Arrays.copyOf(bytes, bytes.length + 10),
            new byte[0],
            "garbage".getBytes(UTF_8))) {
      Files.write(layer, damaged);
      assertRefused(layout, "");
    }
    Files.delete(layer);
    assertRefused(layout, "lacks the file \"blobs/sha256/" + layer.getFileName());
    Files.createSymbolicLink(layer, Path.of("/etc/passwd"));
    assertRefused(layout, "lacks the file \"blobs/sha256/" + layer.getFileName());
  }

  @Test
  void aDamagedSavedImageIsRefused() throws Exception {
    makeLayout("good", "10");
    Path saved = saved();
    byte[] bytes = Files.readAllBytes(saved);
    int at = new String(bytes, ISO_8859_1).indexOf("linked data");
    bytes[at] ^= 1;
    Files.write(saved, bytes);
    assertRefused(saved, "does not match its digest");
    Files.write(saved, Arrays.copyOf(bytes, bytes.length / 2));
    assertRefused(saved, "truncated");
  }

  @Test
  void anIndexThatListsNothingIsRefused() throws Exception {
    makeLayout("good", "10");
    Path index = layout.resolve("index.json");
    String one = Files.readString(index);
    String image = one.substring(one.indexOf('[') + 1, one.lastIndexOf(']'));
    Files.writeString(index, one.replace(image, image + "," + otherMachine(image)));
    push(layout);
    Files.writeString(index, "{\"manifests\": []}");
    assertRefused(layout, "lists no image");
    Files.writeString(index, "[".repeat(100_000));
    assertRefused(layout, "is not JSON");
  }

  @Test
  void tarBombsAreRefusedEarly() {
    byte[] small = Tars.header("f", TarEntry.FILE, 0644, 0, "", 0);
    IOException many =
        assertThrows(
            IOException.class,
            () ->
                new Layers(List.of(() -> endless(small)))
                    .packOnce(new PackStream(OutputStream.nullOutputStream())));
    assertTrue(many.getMessage().startsWith("more than "), many.getMessage());
  }

  private void makeLayout(String layers, String files) throws Exception {
    run("python3", LAYOUT_MAKER.toString(), layout.toString(), layers, files);
  }

  /** A layout's only layer, a compressed tar. */
  private Path layer() throws IOException {
    Path blobs = layout.resolve("blobs/sha256");
    try (Stream<Path> files = Files.list(blobs)) {
      return files.filter(LayersTest::isGzip).findFirst().orElseThrow();
    }
  }

  private static boolean isGzip(Path file) {
    try (InputStream in = Files.newInputStream(file)) {
      return in.read() == 0x1f;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Gives what unsquashfs lists of the image. */
  private String sameFromLayoutAndPlainTar(String layers) throws Exception {
    if (Files.exists(layout)) {
      layout = work.resolve(layers);
    }
    makeLayout(layers, "0");
    Path merged = pulled(layout);
    assertEquals(-1, Files.mismatch(merged, pulled(layer())));
    return new String(run("unsquashfs", "-lln", merged.toString()), UTF_8);
  }

  private Path pulled(Path source) throws IOException {
    push(source);
    Path image = work.resolve(source.getFileName() + ".sqfs");
    assertEquals(0, layercake("pull", "t", image.toString()), this::said);
    return image;
  }

  /** What docker save would write. */
  private Path saved() throws Exception {
    Path saved = work.resolve("saved.tar");
    run(
        "skopeo",
        "--insecure-policy",
        "copy",
        "-q",
        "oci:" + layout + ":t",
        "docker-archive:" + saved + ":t:t");
    return saved;
  }

  private static String otherMachine(String image) {
    return image.substring(0, image.lastIndexOf('}'))
        + ", \"platform\": {\"architecture\": \"s390x\", \"os\": \"linux\"}}";
  }

  private static Path largest(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .max((a, b) -> Long.compare(a.toFile().length(), b.toFile().length()))
          .orElseThrow();
    }
  }

  private static InputStream endless(byte[] block) {
    return new InputStream() {
      private int at;

      @Override
      public int read() {
        return block[at++ % block.length] & 0xff;
      }

      @Override
      public int read(byte[] bytes, int offset, int length) {
        int count = Math.min(length, block.length - at % block.length);
        System.arraycopy(block, at % block.length, bytes, offset, count);
        at = (at + count) % block.length;
        return count;
      }
    };
  }

  /**
   * Type, mode, time, links, content and attributes of every file; not what the tools need not
   * agree on, nor umoci's own user.rootlesscontainers.
   */
  private String listing(Path tree) throws Exception {
    String script =
        "cd \"$0\"; find . -mindepth 1 -printf '%y %m %T@ %n %s %P -> %l\\n'"
            + " | sed -E 's/^(d [0-9]+ [0-9.]+) [0-9]+ [0-9]+/\\1/; s/^(l [0-9]+) [0-9.]+/\\1/'"
            + " | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum;"
            + " find . -print0 | sort -z | xargs -0 getfattr -h -d -m '^user[.][^r]' -e hex";
    return new String(run("sh", "-c", script, tree.toString()), ISO_8859_1);
  }
}
