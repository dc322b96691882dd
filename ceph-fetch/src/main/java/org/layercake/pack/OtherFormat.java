package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.util.regex.Pattern;

/**
 * Files that are neither tars nor squashfs files, by their first bytes, and what to do with them.
 */
final class OtherFormat {
  private static final int MAX_START_BYTES = 4096;
  private static final Pattern CPIO = Pattern.compile("(?s)(07070[127]|\u00c7q|q\u00c7).*");
  private static final Pattern RECIPE = Pattern.compile("(?i)(from|arg)\\s+\\S.*|bootstrap:.*");

  private OtherFormat() {}

  /** What it is, in words for people. */
  static String of(byte[] header) {
    String start = new String(header, 0, Math.min(header.length, MAX_START_BYTES), ISO_8859_1);
    if (CPIO.matcher(start).matches()) {
      return "it is a cpio archive (bsdtar -cf - @FILE | layercake push - NAME)";
    } else if (Sif.mayBegin(header)) {
      return "it is a SIF file without a squashfs file that can be read (build it again, unencrypted)";
    } else if (start.startsWith("\u007fELF")) {
      return "it is a program without a squashfs file behind it (push a directory with what it needs"
          + " to run)";
    } else if (start.startsWith("PK\u0003\u0004") || start.startsWith("7z\u00bc\u00af")) {
      return "it is a zip or 7z archive (unpack it, and push the directory)";
    } else if (start.startsWith("]\0\0")) {
      return "it is compressed by lzma (xz --format=lzma -dc FILE | layercake push - NAME)";
    } else if (start.startsWith("QFI\u00fb") || start.startsWith("KDMV")) {
      return "it is the disk of a virtual machine (mount it, and push the directory)";
    } else if (isRecipe(start)) {
      return "it says how an image is built (build it first, by docker, podman, ch-image or"
          + " apptainer, and push what comes of it)";
    }
    return "not a squashfs or tar file (plain, gz, xz, zst, bz2, lz4) nor a directory";
  }

  /** Whether the first line that is no comment is one that a Dockerfile or the like begins with. */
  private static boolean isRecipe(String start) {
    return start
        .lines()
        .map(String::strip)
        .filter(line -> !line.isEmpty() && !line.startsWith("#"))
        .findFirst()
        .filter(line -> RECIPE.matcher(line).matches())
        .isPresent();
  }
}
