package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.layercake.cli.CommandTest;

/** Files that others take for images: what is in a SIF file, and how the rest is named. */
class OtherFormatsTest extends CommandTest {
  private static final int SQUASHFS = 1;
  private static final int ENCRYPTED = 4;

  @Test
  void theRootFileSystemOfASifFileIsPushed() throws Exception {
    byte[] squashfs = squashed();
    String digest = push(Files.write(work.resolve("plain.sqfs"), squashfs));
    Path sif = Files.write(work.resolve("image.sif"), sif(squashfs, SQUASHFS));
    assertEquals(digest, push(sif));
    stdin = Files.newInputStream(sif);
    assertEquals(digest, push(Path.of("-")));
    Path image = work.resolve("pulled.sqfs");
    assertEquals(0, layercake("pull", "t", image.toString()), this::said);
    assertEquals(-1, Files.mismatch(work.resolve("plain.sqfs"), image));
  }

  @Test
  void aSifFileWithoutASquashfsFileIsRefused() throws Exception {
    byte[] squashfs = squashed();
    Path sif = Files.write(work.resolve("image.sif"), sif(squashfs, ENCRYPTED));
    assertRefused(sif, "it is a SIF file without a squashfs file that can be read");
    byte[] whole = sif(squashfs, SQUASHFS);
    Files.write(sif, Arrays.copyOf(whole, whole.length - 5000));
    assertRefused(sif, "truncated");
    Files.write(sif, Arrays.copyOf(whole, 40_000));
    assertRefused(sif, "truncated");
    Files.write(sif, sif(sif(squashfs, SQUASHFS), SQUASHFS));
    assertRefused(sif, "what should be the squashfs file in it is none");
  }

  @ParameterizedTest
  @CsvSource({
    "070701, it is a cpio archive (bsdtar -cf - @FILE | layercake push - NAME)",
    "'# syntax=x\n\nFROM debian', it says how an image is built (build it first",
    "'Bootstrap: docker', it says how an image is built (build it first",
    "'\u007fELF', it is a program without a squashfs file behind it",
    "'PK\u0003\u0004', it is a zip or 7z archive",
    "'an essay', 'not a squashfs or tar file (plain, gz, xz, zst, bz2, lz4) nor a directory'",
  })
  void otherFilesAreRefusedWithWhatToDo(String start, String reason) throws Exception {
    byte[] bytes = Arrays.copyOf(start.getBytes(ISO_8859_1), 1000);
    assertRefused(Files.write(work.resolve("file"), bytes), reason);
  }

  private byte[] squashed() throws Exception {
    Path image = work.resolve("made.sqfs");
    run("mksquashfs", exampleTree() + "", image + "", "-noappend", "-quiet", "-no-progress");
    byte[] bytes = Files.readAllBytes(image);
    assertTrue(bytes.length > 1000);
    return bytes;
  }

  /** With a definition file in front of the root file system, as apptainer build writes it. */
  private static byte[] sif(byte[] squashfs, int fileSystem) {
    ByteBuffer sif = ByteBuffer.allocate(65_536 + squashfs.length).order(ByteOrder.LITTLE_ENDIAN);
    sif.put("#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0".getBytes(US_ASCII));
    sif.putLong(88, 48).putLong(96, 4096);
    descriptor(sif, 4096, 0x4001, 32_768, 7);
    descriptor(sif, 4096 + 585, 0x4004, 65_536, squashfs.length);
    sif.putInt(4096 + 585 + 201, fileSystem).putInt(4096 + 585 + 205, 2);
    sif.put(65_536, squashfs);
    return sif.array();
  }

  private static void descriptor(ByteBuffer sif, int at, int kind, long offset, long bytes) {
    sif.putInt(at, kind).put(at + 4, (byte) 1).putLong(at + 17, offset).putLong(at + 25, bytes);
  }
}
