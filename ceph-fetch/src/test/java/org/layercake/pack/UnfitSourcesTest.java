package org.layercake.pack;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.layercake.cli.CommandTest;

/** Sources in which nothing would run, or not on this machine's processor. */
class UnfitSourcesTest extends CommandTest {
  private Path tree;

  @BeforeEach
  void makeTree() throws Exception {
    tree = Files.createDirectory(work.resolve("tree"));
  }

  @ParameterizedTest
  @CsvSource({
    "'', at its top is nothing (--data for",
    "'mkdir a b; echo x >c', 'no bin, usr or the like, but a, b, c (--data for a data set, --force'",
    "'mkdir -p rootfs/bin rootfs/etc; echo {} >config.json', 'in its directory \"rootfs\": push'",
    "'mkdir -p image/blobs; echo x >image/index.json', 'in its directory \"image\": push that, or'",
    "'echo FROM x >Dockerfile', an image is built of it first",
    "'echo Bootstrap: docker >my.def', an image is built of it first",
    "'echo [] >manifest.json; mkdir layers', it looks like an image in layers",
    "'for i in 1 2 3 4 5 6 7 8 9; do mkdir $i; done', ', 8, …'",
  })
  void aTreeWithoutProgramsIsRefusedWithWhatItIs(String made, String reason) throws Exception {
    sh(made);
    assertRefused(tree, reason);
    assertRefused(tar(), reason);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "mkdir bin",
        "mkdir usr",
        "ln -s usr/bin bin",
        "mkdir -p ch",
        "mkdir -p nix/store",
        "echo x >hello; chmod +x hello"
      })
  void oneThingThatRunsIsEnough(String made) throws Exception {
    sh(made);
    assertEquals(0, layercake("push", tree.toString(), "t"), this::said);
    assertEquals(0, layercake("push", tar().toString(), "t"), this::said);
  }

  @Test
  void aDataSetIsPushedWhenItIsSaidToBeOne() throws Exception {
    sh("mkdir -p train; echo x >train/1; echo '{}' >manifest.json");
    assertEquals(0, layercake("push", "--data", tree.toString(), "t"), this::said);
    String digest = pushedDigest();
    assertEquals(0, layercake("inspect", "t"));
    assertTrue(printed().contains("architecture  noarch\n"), this::said);
    assertEquals(0, layercake("push", "--data", tar().toString(), "t"), this::said);
    assertEquals(digest, pushedDigest());
    assertEquals(0, layercake("push", "--force", tree.toString(), "t"), this::said);
    layercake("inspect", "t");
    assertTrue(printed().contains("architecture  x86_64\n"), this::said);
  }

  @Test
  void programsForAnotherProcessorAreRefusedUnlessTheyAreAskedFor() throws Exception {
    program("bin/sh", 183, 1);
    program("bin/ls", 183, 1);
    program("usr/x86-linux/bin/ld", 62, 1);
    for (Path source : new Path[] {tree, tar(), squashed()}) {
      assertRefused(source, "it is for arm64, not amd64 (if so wanted: --arch=arm64)");
      assertEquals(0, layercake("push", "--arch=arm64", source.toString(), "t"), this::said);
      layercake("inspect", "t");
      assertTrue(printed().contains("architecture  aarch64\n"), this::said);
    }
    assertEquals(65, layercake("push", "--arch=s390x", tree.toString(), "bad"), this::said);
    assertTrue(said().contains("it is for arm64, not s390x"), this::said);
  }

  @Test
  void otherByteOrdersAreKnown() throws Exception {
    program("bin/sh", 22, 2);
    assertRefused(tree, "it is for s390x, not amd64");
  }

  @Test
  void programsOfThisMachineAreTakenWhateverElseIsThere() throws Exception {
    sh("mkdir -p usr/bin; ln -s usr/bin bin; cp /bin/busybox usr/bin/busybox");
    program("opt/firmware/a", 183, 1);
    program("opt/firmware/b", 183, 1);
    for (Path source : new Path[] {tree, tar(), squashed()}) {
      assertEquals(0, layercake("push", source.toString(), "t"), this::said);
    }
  }

  @Test
  void anImageThatSaysAnotherProcessorThanItsProgramsIsRefused() throws Exception {
    program("bin/sh", 183, 1);
    Path saved = work.resolve("saved");
    String script =
        """
        set -e; mkdir $1; tar -C $0 -cf $1/0 .
        c='{"architecture":"'$2'","rootfs":{"diff_ids":["sha256:'$(sha256sum <$1/0 | cut -c-64)'"]}}'
        echo "$c" >$1/c.json; echo '[{"Config":"c.json","Layers":["0"]}]' >$1/manifest.json
        """;
    run("sh", "-c", script, tree.toString(), saved.toString(), "amd64");
    assertRefused(saved, "its programs are for arm64, though it says amd64 (--force stores it)");
    assertEquals(0, layercake("push", "--force", saved.toString(), "t"), this::said);
    run("rm", "-r", saved.toString());
    run("sh", "-c", script, tree.toString(), saved.toString(), "arm64");
    assertRefused(saved, "it is for arm64, not amd64 (if so wanted: --arch=arm64)");
    assertEquals(0, layercake("push", "--arch=arm64", saved.toString(), "t"), this::said);
  }

  /** The beginning of an ELF file. */
  private void program(String name, int machine, int order) throws Exception {
    byte[] header = Arrays.copyOf(new byte[] {0x7f, 'E', 'L', 'F', 2, (byte) order}, 64);
    header[order == 1 ? 18 : 19] = (byte) machine;
    Path file = tree.resolve(name);
    Files.createDirectories(file.getParent());
    Files.write(file, header);
    run("chmod", "+x", file.toString());
  }

  private void sh(String script) throws Exception {
    run("sh", "-c", "cd \"$0\"; " + script, tree.toString());
  }

  private Path tar() throws Exception {
    sh("tar --sort=name -cf ../t.tar .");
    return work.resolve("t.tar");
  }

  private Path squashed() throws Exception {
    Path image = work.resolve("t.sqfs");
    run("mksquashfs", tree + "", image + "", "-noappend", "-quiet", "-no-progress");
    return image;
  }
}
