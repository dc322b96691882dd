package org.layercake.launcher.node;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;

/** A directory that only root may enter. */
public final class PrivateDirectory {
  private PrivateDirectory() {}

  /** Makes it, or closes it to users; one that is as it should be may be read-only. */
  public static void make(Path directory) throws IOException {
    Files.createDirectories(directory);
    Set<PosixFilePermission> closed = PosixFilePermissions.fromString("rwx------");
    if (!Files.getPosixFilePermissions(directory).equals(closed)) {
      Files.setPosixFilePermissions(directory, closed);
    }
  }
}
