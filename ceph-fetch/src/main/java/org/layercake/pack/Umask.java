package org.layercake.pack;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;

/** The permissions of new files, for what is made under another name with fewer. */
final class Umask {
  private static final String FIELD = "Umask:";

  private Umask() {}

  static Set<PosixFilePermission> directory() throws IOException {
    return permissions(0777 & ~umask());
  }

  static Set<PosixFilePermission> file() throws IOException {
    return permissions(0666 & ~umask());
  }

  /** To ask umask(2) one would have to change it. */
  private static int umask() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith(FIELD))
        .map(line -> Integer.parseInt(line.substring(FIELD.length()).strip(), 8))
        .findFirst()
        .orElse(077);
  }

  private static Set<PosixFilePermission> permissions(int mode) {
    StringBuilder text = new StringBuilder("rwxrwxrwx");
    for (int i = 0; i < text.length(); i++) {
      if ((mode & 0400 >> i) == 0) {
        text.setCharAt(i, '-');
      }
    }
    return PosixFilePermissions.fromString(text.toString());
  }
}
