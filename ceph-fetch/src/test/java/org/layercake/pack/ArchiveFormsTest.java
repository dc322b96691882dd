package org.layercake.pack;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.layercake.cli.CommandTest;

/** Archives as tar, pixz and others leave them: read as tar reads them, or refused. */
class ArchiveFormsTest extends CommandTest {
  private Path tree;

  @BeforeEach
  void makeTree() throws Exception {
    tree = Files.createDirectories(work.resolve("tree"));
    sh("mkdir d bin; echo secret >d/f; echo x >d/g; touch -d @1000000000 d/* d bin");
  }

  @ParameterizedTest
  @ValueSource(strings = {"cat", "gzip"})
  void theLaterOfTwoFilesCountsAndTheOtherIsNowhereInTheImage(String filter) throws Exception {
    sh("tar -cf ../t.tar --sort=name .; seq 100 >d/f; tar -rf ../t.tar d/f");
    sh(filter + " <../t.tar >../t");
    String digest = push(work.resolve("t"));
    assertUnpacked();
    sh("touch -d @1000000000 d; tar -cf ../u.tar --sort=name --exclude=./d/f .");
    sh("tar -rf ../u.tar d/f");
    assertEquals(digest, push(work.resolve("u.tar")));
  }

  @Test
  void archivesThatTarHasPutTogetherAreOne() throws Exception {
    sh(
        "tar -cf ../t.tar --sort=name .; echo new >n; tar -cf ../u.tar n; tar -Af ../t.tar ../u.tar");
    String digest = push(work.resolve("t.tar"));
    assertUnpacked();
    sh("tar -cf ../v.tar --exclude=./n --sort=name .; tar -rf ../v.tar n");
    assertEquals(digest, push(work.resolve("v.tar")));
    sh("cat ../v.tar ../u.tar >../w.tar");
    assertRefused(work.resolve("w.tar"), "something follows its end mark (put archives together");
  }

  @Test
  void whatComesTwiceCannotComeByAPipe() throws Exception {
    sh("tar -cf ../t.tar .; tar -rf ../t.tar d/f");
    stdin = Files.newInputStream(work.resolve("t.tar"));
    assertEquals(65, layercake("push", "-", "bad"), this::said);
    assertEquals(1, complaints().size(), this::said);
    assertTrue(said().contains("it has \"d/f\" twice, not both a directory, and cannot be"));
  }

  @Test
  void laterEntriesReplaceWhatTarCanReplace() throws Exception {
    sh(
        "mkdir e; tar -cf ../t.tar --sort=name .; rm -r e d/f d/g; echo e >e; mkdir d/f; ln -s f d/g");
    sh("tar -rf ../t.tar e d/f d/g");
    push(work.resolve("t.tar"));
    assertUnpacked();
    sh("rm -r d; echo d >d; tar -rf ../t.tar d");
    assertRefused(
        work.resolve("t.tar"), "it has \"d\" as a directory with files, and later as none");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--format=gnu",
        "--format=posix --sparse-version=0.0",
        "--format=posix --sparse-version=0.1",
        "--format=posix --sparse-version=1.0"
      })
  void sparseFilesAreWhatTarUnpacks(String form) throws Exception {
    String many =
        "f = open('many', 'wb')\nfor i in range(60): f.seek(i * 70000); f.write(b'%d' % i)";
    Files.writeString(work.resolve("many.py"), many);
    sh(
        "python3 ../many.py; truncate -s 1M end; echo x >>end; truncate -s 5M start; echo y | dd"
            + " conv=notrunc of=start status=none; truncate -s 200k none; chmod 755 many; touch -d"
            + " @1000000000 *");
    sh("tar -cf ../dense.tar --sort=name .; tar -S " + form + " -cf ../t.tar --sort=name .");
    long sparse = Files.size(work.resolve("t.tar"));
    assertTrue(sparse < Files.size(work.resolve("dense.tar")) / 4, "a tar of " + sparse);
    push(work.resolve("t.tar"));
    assertUnpacked();
    stdin = Files.newInputStream(work.resolve("t.tar"));
    push(Path.of("-"));
    assertUnpacked();
  }

  @Test
  void aHoleOfHundredsOfGigabytesIsNoWork() throws Exception {
    sh("truncate -s 900G hole; echo x >>hole; tar -S -cf ../t.tar .");
    long begun = System.nanoTime();
    push(work.resolve("t.tar"));
    long seconds = (System.nanoTime() - begun) / 1_000_000_000;
    assertTrue(seconds < 30, "it took " + seconds + " s");
    assertTrue(listing().contains(" 966367641602 "), listing());
    sh("rm hole; truncate -s 2T hole; tar -S -cf ../t.tar .");
    assertRefused(work.resolve("t.tar"), "files of more than 1 TB in all");
  }

  @ParameterizedTest
  @ValueSource(strings = {"--format=gnu", "--format=posix"})
  void aSparseFileWhoseMapIsWrongIsRefused(String form) throws Exception {
    sh("truncate -s 5M start; echo y | dd conv=notrunc of=start status=none");
    sh("tar -S " + form + " -cf ../t.tar start");
    byte[] tar = Files.readAllBytes(work.resolve("t.tar"));
    int at = form.endsWith("gnu") ? 386 + 12 + 10 : indexOf(tar, "2\n0\n");
    tar[at] = '7';
    if (form.endsWith("gnu")) {
      Tars.putChecksum(tar, 0);
    }
    assertRefused(Files.write(work.resolve("bad.tar"), tar), "is malformed: damaged");
  }

  @Test
  void aChecksumWithHolesIsThatOfTheirZeros() {
    Random random = new Random(1);
    for (int round = 0; round < 200; round++) {
      Checksum checksum = new Checksum();
      CRC32C whole = new CRC32C();
      for (int part = random.nextInt(5); part >= 0; part--) {
        byte[] bytes = new byte[random.nextInt(3) == 0 ? 0 : random.nextInt(5000)];
        random.nextBytes(bytes);
        checksum.update(bytes, 0, bytes.length);
        whole.update(bytes);
        byte[] zeros = new byte[1 + random.nextInt(100_000)];
        checksum.updateZeros(zeros.length);
        whole.update(zeros);
      }
      assertEquals((int) whole.getValue(), checksum.value());
    }
  }

  @Test
  void whatPixzWritesBehindATarIsNoPartOfIt() throws Exception {
    sh("tar -cf ../t.tar --sort=name .");
    String digest = push(work.resolve("t.tar"));
    sh("printf '\\246L2.\\326\\024\\256\\333bin/\\0\\0\\0\\0\\0\\0\\0\\0\\0' >../index");
    sh("cat ../t.tar ../index | xz >../t.tpxz; cat ../t.tar ../t.tar | xz >../tt.tpxz");
    assertEquals(digest, push(work.resolve("t.tpxz")));
    assertRefused(work.resolve("tt.tpxz"), "something follows its end mark");
  }

  @ParameterizedTest
  @ValueSource(ints = {27, 30, 31})
  void anyWindowOfZstdIsTakenFromAPipe(int window) throws Exception {
    sh("tar -cf ../t.tar --sort=name .; zstd -q --long=" + window + " <../t.tar >../t.zst");
    String digest = push(work.resolve("t.tar"));
    stdin = Files.newInputStream(work.resolve("t.zst"));
    assertEquals(digest, push(Path.of("-")));
  }

  @Test
  void anLz4FileNeedsItsProgram() throws Exception {
    byte[] magic = {0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, (byte) 0xa7};
    Path file = Files.write(work.resolve("t.lz4"), magic);
    int code = layercake("push", file.toString(), "bad");
    boolean isThere = Files.isExecutable(Path.of("/usr/bin/lz4"));
    assertEquals(isThere ? 65 : 78, code, this::said);
    assertTrue(isThere || said().contains("cannot run lz4: No such file"), this::said);
  }

  @Test
  void namedPipesAreReadAsTheStandardInputIs() throws Exception {
    sh("tar -cf ../t.tar --sort=name .; mkfifo ../fifo");
    String digest = push(work.resolve("t.tar"));
    Process writer =
        new ProcessBuilder("sh", "-c", "exec cat t.tar >fifo").directory(work.toFile()).start();
    assertEquals(digest, push(work.resolve("fifo")));
    assertEquals(0, writer.waitFor());
    assertRefused(Path.of("/dev/null"), "neither a file, nor a pipe, nor a directory");
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aSquashfsFileBehindAProgramIsPushedAlone(boolean isWide) throws Exception {
    run("mksquashfs", tree + "", work + "/s.sqfs", "-quiet", "-no-progress");
    byte[] squashfs = Files.readAllBytes(work.resolve("s.sqfs"));
    String digest = push(work.resolve("s.sqfs"));
    byte[] program = program(isWide);
    ByteBuffer all = ByteBuffer.allocate(program.length + squashfs.length + 1000);
    all.put(program).put(squashfs);
    Path app = Files.write(work.resolve("app"), all.array());
    assertEquals(digest, push(app), "what follows is left out");
    stdin = Files.newInputStream(app);
    assertEquals(digest, push(Path.of("-")));
    assertRefused(Files.write(app, program), "it is a program without a squashfs file behind it");
    Files.write(app, Arrays.copyOf(all.array(), program.length + 100));
    assertRefused(app, "truncated: its superblock says");
  }

  @Test
  void aSquashfsFileBehindALineIsPushedAlone() throws Exception {
    run("mksquashfs", tree + "", work + "/s.sqfs", "-quiet", "-no-progress");
    String digest = push(work.resolve("s.sqfs"));
    sh("(echo '#!/usr/bin/env run-singularity'; cat ../s.sqfs) >../s.simg");
    assertEquals(digest, push(work.resolve("s.simg")));
    sh("echo '#!/bin/sh' >../script");
    assertRefused(work.resolve("script"), "not a squashfs or tar file");
  }

  /** An ELF file with a table of sections at its end. */
  private static byte[] program(boolean isWide) {
    int table = 70_000;
    int sections = 3;
    int bytes = isWide ? 64 : 40;
    ByteBuffer elf = ByteBuffer.allocate(table + sections * bytes);
    elf.put(new byte[] {0x7f, 'E', 'L', 'F', (byte) (isWide ? 2 : 1), (byte) (isWide ? 1 : 2)});
    elf.order(isWide ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    if (isWide) {
      elf.putLong(40, table).putShort(58, (short) bytes).putShort(60, (short) sections);
    } else {
      elf.putInt(32, table).putShort(46, (short) bytes).putShort(48, (short) sections);
    }
    return elf.array();
  }

  /** What the pushed image comes to is what tar makes of the archive. */
  private void assertUnpacked() throws Exception {
    Path image = pulled();
    sh(
        "rm -rf ../image ../tar; mkdir ../tar; tar -C ../tar -xf ../t.tar; unsquashfs -q -n -d ../image "
            + image
            + " >/dev/null");
    sh("diff -r --no-dereference ../tar ../image");
    String list =
        "find . -mindepth 1 -printf '%p %y %m %s %T@ %n %l\\n' | sed '/ d /s/ [0-9]* \\([0-9.]* \\)[0-9]* $/ /' | sort";
    sh("(cd ../tar; " + list + ") >../tar.list; (cd ../image; " + list + ") >../image.list");
    assertArrayEquals(
        Files.readString(work.resolve("tar.list")).replaceAll("\\.\\d{10}", "").lines().toArray(),
        Files.readString(work.resolve("image.list"))
            .replaceAll("\\.\\d{10}", "")
            .lines()
            .toArray());
  }

  private Path pulled() throws IOException {
    Path image = work.resolve("pulled.sqfs");
    Files.deleteIfExists(image);
    assertEquals(0, layercake("pull", "t", image.toString()), this::said);
    return image;
  }

  private String listing() throws Exception {
    return new String(run("unsquashfs", "-lln", pulled().toString()), UTF_8);
  }

  private static int indexOf(byte[] bytes, String text) {
    for (int at = 0; at < bytes.length; at++) {
      if (new String(bytes, at, Math.min(text.length(), bytes.length - at), UTF_8).equals(text)) {
        return at;
      }
    }
    throw new AssertionError("no " + text);
  }

  /** Runs in the tree. */
  private void sh(String script) throws Exception {
    run("sh", "-c", "set -e; cd \"$0\"; " + script, tree.toString());
  }
}
