package org.layercake.store;

import static java.nio.file.StandardOpenOption.READ;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import jnr.ffi.LastError;
import jnr.ffi.LibraryLoader;
import jnr.ffi.Runtime;

/**
 * Opens files in directories of other users. What they put in the way, at whatever moment, does
 * nothing: no link is followed, no pipe waited for, no device touched. Java's own calls look and
 * then open, and what they have looked at may be another thing by then.
 *
 * <p>With {@code O_PATH} a name is only found and not opened, see open(2); what was found is then
 * looked at, and opened, by its descriptor.
 */
final class Beneath {
  // <fcntl.h>; the first two differ between x86 and ARM.
  private static final int O_DIRECTORY = isArm() ? 040000 : 0200000;
  private static final int O_NOFOLLOW = isArm() ? 0100000 : 0400000;
  private static final int O_CLOEXEC = 02000000;
  private static final int O_PATH = 010000000;

  private static final int ENOENT = 2;
  private static final int EACCES = 13;

  private static final Libc LIBC = LibraryLoader.create(Libc.class).load("c");
  private static final Runtime RUNTIME = Runtime.getRuntime(LIBC);

  private Beneath() {}

  /** Public only for the class that jnr-ffi makes of it. */
  public interface Libc {
    int open(String path, int flags);

    int openat(int directory, String name, int flags);

    int close(int descriptor);
  }

  private static boolean isArm() {
    return System.getProperty("os.arch").equals("aarch64");
  }

  /**
   * Opens a regular file for reading.
   *
   * @param root may be reached by links
   * @param name relative to it; no part of it may be a link
   */
  static FileChannel open(Path root, Path name) throws IOException {
    int at = check(LIBC.open(root.toString(), O_PATH | O_DIRECTORY | O_CLOEXEC), root);
    try {
      int last = name.getNameCount() - 1;
      for (int i = 0; i <= last; i++) {
        int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC | (i < last ? O_DIRECTORY : 0);
        int next = LIBC.openat(at, name.getName(i).toString(), flags);
        int errno = LastError.getLastError(RUNTIME);
        LIBC.close(at);
        at = next;
        if (at < 0) {
          throw failure(errno, root.resolve(name.subpath(0, i + 1)));
        }
      }
      return open(at, root.resolve(name));
    } finally {
      if (at >= 0) {
        LIBC.close(at);
      }
    }
  }

  private static FileChannel open(int found, Path file) throws IOException {
    Path descriptor = Path.of("/proc/self/fd/" + found);
    if (!Files.isRegularFile(descriptor)) {
      throw new FileSystemException(file.toString(), null, "not a regular file");
    }
    return FileChannel.open(descriptor, READ);
  }

  private static int check(int descriptor, Path file) throws IOException {
    if (descriptor < 0) {
      throw failure(LastError.getLastError(RUNTIME), file);
    }
    return descriptor;
  }

  private static IOException failure(int errno, Path file) {
    return switch (errno) {
      case ENOENT -> new NoSuchFileException(file.toString());
      case EACCES -> new AccessDeniedException(file.toString());
      default -> new FileSystemException(file.toString(), null, "errno " + errno);
    };
  }
}
