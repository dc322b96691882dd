package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.SequenceInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.AbstractList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.function.LongFunction;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.layercake.cli.CommandTest;

/** Tars and directories of a file tree: what is kept of them, and what is refused. */
class PlainTarTest extends CommandTest {
  private static final long PLENTY = 10_000_000;

  private Path tree;

  @BeforeEach
  void makeTree() throws Exception {
    tree = Files.createDirectories(work.resolve("tree"));
    sh("mkdir d; echo x >d/f; ln d/f d/g; ln -s d/f l; touch -d @1000000000 d/f d");
  }

  @Test
  void howNamesBeginDoesNotMatter() throws Exception {
    String digest = push(tar("."));
    assertEquals(digest, push(tar("*")));
    assertEquals(digest, push(tar("-P --transform='flags=r;s,^,/,' *")));
    assertEquals(digest, push(tar("--format=v7 .")));
  }

  @Test
  void directoriesThatNoEntryDescribesAreTheSameEachTime() throws Exception {
    Path tar = tar("d/f");
    push(tar);
    String files = listing("t");
    assertTrue(
        files.lines().anyMatch(l -> l.matches("drwxr-xr-x .* 1970-01-01 00:00 .*/d")), files);
  }

  @Test
  void climbingNamesAreRefused() throws Exception {
    assertRefused(tar("-P --transform=s,^d,a/../../d, d"), "has \"..\" in its name");
  }

  @Test
  void namesOfALinksTargetThatAreTooLongAreRefused() throws Exception {
    sh("rm -r *; ln -s $(printf 'n%.0s' $(seq 300)) d; echo x >f");
    assertRefused(
        tar("--transform='flags=r;s,^f$,d/f,' d f"),
        "the name of \"" + "n".repeat(300) + "\" is longer than 255 bytes");
  }

  @Test
  void filesOfTooManyBytesAreRefusedBeforeTheyAreRead() throws Exception {
    byte[] header = new byte[TarHeader.BLOCK];
    sh("mkdir usr; truncate -s 2T usr/huge; tar -cf - usr/huge | head -c 512 >../head");
    System.arraycopy(Files.readAllBytes(work.resolve("head")), 0, header, 0, header.length);
    stdin = new ByteArrayInputStream(header);
    assertEquals(65, layercake("push", "-", "bad"), this::said);
    assertEquals(
        List.of("layercake: cannot push the standard input: files of more than 1 TB in all"),
        complaints());
  }

  @Test
  void countlessFilesAreRefusedEarly() {
    assertEndless("more than 2000000 files", n -> "d" + n / 1000 + "/" + n);
    assertEndless("more than 2000000 files", n -> "d/" + n);
    assertEndless("more than 2000000 files", n -> "d" + n + "/x".repeat(400));
  }

  @Test
  void endlessHeadersAreRefused() {
    byte[] global = Tars.header("g", 'g', 0, 0, "", 0);
    IOException refused = assertThrows(IOException.class, () -> pack(repeated(n -> global)));
    assertEquals("more than 16 extended headers in a row", refused.getMessage());
  }

  @Test
  void whateverATarSaysItIsReadOrRefused() throws Exception {
    sh(
        "setfattr -n user.a -v b d/f; mkdir -p $(printf '%0120d/' 1 2); ln -s $(printf %0120d)"
            + " long");
    byte[] good = Files.readAllBytes(tar("--xattrs --format=posix ."));
    Random random = new Random(1);
    int refused = 0;
    for (int round = 0; round < 5_000; round++) {
      byte[] bad = good.clone();
      for (int i = random.nextInt(3); i >= 0; i--) {
        int at = random.nextInt(bad.length - 10_240);
        bad[at] = random.nextBoolean() ? (byte) random.nextInt() : bad[random.nextInt(bad.length)];
        setChecksum(bad, at / TarHeader.BLOCK * TarHeader.BLOCK);
      }
      try {
        pack(new ByteArrayInputStream(bad));
      } catch (IOException e) {
        refused++;
      }
    }
    assertTrue(refused > 100 && refused < 5_000, "refused " + refused);
  }

  private static void setChecksum(byte[] tar, int block) {
    byte[] header = Arrays.copyOfRange(tar, block, block + TarHeader.BLOCK);
    if (new String(header, 257, 5, ISO_8859_1).equals("ustar")) {
      byte[] sum = "%06o\0 ".formatted(TarHeader.checksum(header)).getBytes(ISO_8859_1);
      System.arraycopy(sum, 0, tar, block + 148, sum.length);
    }
  }

  @Test
  void oddTimesBecomeTheNearestPossible() throws Exception {
    sh("touch -d @-5.5 early; touch -d @9999999999 late; touch -d @1.9 frac");
    for (String format : List.of("gnu", "posix")) {
      push(tar("--format=" + format + " early late frac"));
      String files = listing("t");
      assertTrue(files.contains("1970-01-01 00:00 squashfs-root/early"), files);
      assertTrue(files.contains("1970-01-01 00:00 squashfs-root/frac"), files);
      assertTrue(files.contains("2106-02-07 06:28 squashfs-root/late"), files);
    }
  }

  @Test
  void ofATarsAttributesThoseOfUsersAreKept() throws Exception {
    sh("setfattr -n user.a -v 0x00ff0a3d d/f; setfattr -n user.50% -v v d; setfacl -m u:1:r d/f");
    Path tar = tar("--xattrs --acls --xattrs-include=* .");
    String digest = push(tar);
    assertEquals(digest, push(tar));
    assertEquals(
        """
        # file: d
        user.50%=0x76

        # file: d/f
        user.a=0x00ff0a3d

        # file: d/g
        user.a=0x00ff0a3d

        """,
        attributes());
  }

  @Test
  void ofADirectorysAttributesThoseOfUsersAreKept() throws Exception {
    sh("setfattr -n user.a=b -v 0x00ff0a3d d/f; setfattr -n user.c -v v d; setfacl -m u:1:r d/f");
    String digest = push(tree);
    String kept = attributes();
    assertTrue(kept.contains("=0x00ff0a3d\n") && kept.contains("user.c=0x76\n"), kept);
    assertFalse(kept.contains("posix_acl"), kept);
    assertEquals(digest, push(tar("--xattrs --xattrs-include='user.*' .")));
  }

  @Test
  void ofADirectoryPipesAndSetuidBitsAreKeptDevicesAndSocketsAreNot() throws Exception {
    sh("mkfifo d/pipe; touch d/set; chmod 6755 d/set; [ $(id -u) != 0 ] || mknod d/null c 1 3");
    sh("chown 1234:5678 d/set && chmod 6755 d/set || true; chmod 3777 d");
    sh("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"d/socket\")'");
    push(tree);
    String files = listing("t");
    for (String line :
        List.of("drwxrwsrwt 0/0 .*/d", "-rwsr-sr-x 0/0 .*/d/set", "prw-r--r-- 0/0 .*/d/pipe")) {
      assertTrue(files.lines().anyMatch(l -> l.matches(line)), files);
    }
    assertFalse(files.contains("null") || files.contains("socket"), files);
  }

  @Test
  void aTarWithoutFilesIsRefused() throws Exception {
    Path zeros =
        Files.write(work.resolve("zeros"), run("sh", "-c", "head -c 10240 /dev/zero|gzip"));
    assertRefused(zeros, "not a squashfs or tar file");
  }

  /** Runs in the tree. */
  private void sh(String script) throws Exception {
    run("sh", "-c", "cd \"$0\"; " + script, tree.toString());
  }

  private Path tar(String arguments) throws Exception {
    sh("tar -cf ../t.tar --sort=name " + arguments);
    return work.resolve("t.tar");
  }

  private String listing(String name) throws Exception {
    return new String(run("unsquashfs", "-UTC", "-lln", pulled(name).toString()), UTF_8);
  }

  private Path pulled(String name) throws IOException {
    Path image = work.resolve("pulled.sqfs");
    Files.deleteIfExists(image);
    assertEquals(0, layercake("pull", name, image.toString()), this::said);
    return image;
  }

  /** All attributes of all files of what has been pushed. */
  private String attributes() throws Exception {
    Path unpacked = work.resolve("unpacked");
    run("unsquashfs", "-quiet", "-no-progress", "-d", unpacked.toString(), pulled("t").toString());
    String script =
        "cd \"$0\"; find * -print0 | sort -z | xargs -0 getfattr -h -d -m - -e hex | sed s/==/=/";
    return new String(run("sh", "-c", script, unpacked.toString()), ISO_8859_1);
  }

  private static void pack(InputStream tar) throws IOException {
    PackStream out = new PackStream(OutputStream.nullOutputStream());
    out.tree(PlainTar.pack(tar, out));
  }

  private static void assertEndless(String reason, LongFunction<String> names) {
    InputStream tar = repeated(n -> Tars.header(names.apply(n), TarEntry.FILE, 0644, 0, "", 0));
    IOException refused = assertThrows(IOException.class, () -> pack(tar));
    assertTrue(refused.getMessage().startsWith(reason), refused.getMessage());
  }

  /** Blocks, made as they are read. */
  private static InputStream repeated(LongFunction<byte[]> blocks) {
    return new SequenceInputStream(
        Collections.enumeration(
            new AbstractList<InputStream>() {
              @Override
              public InputStream get(int index) {
                ByteArrayOutputStream some = new ByteArrayOutputStream();
                LongStream.range(index * 1000L, index * 1000L + 1000)
                    .forEach(n -> some.writeBytes(blocks.apply(n)));
                return new ByteArrayInputStream(some.toByteArray());
              }

              @Override
              public int size() {
                return (int) (PLENTY / 1000);
              }
            }));
  }
}
