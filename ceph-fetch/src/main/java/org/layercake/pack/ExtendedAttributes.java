package org.layercake.pack;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.Arrays;
import java.util.Collections;
import java.util.SortedMap;
import java.util.TreeMap;
import jnr.ffi.LastError;
import jnr.ffi.LibraryLoader;
import jnr.ffi.Runtime;
import jnr.ffi.annotations.In;
import jnr.ffi.annotations.Out;

/**
 * The extended attributes of a file, by llistxattr(2) and lgetxattr(2). Their names are bytes, and
 * Java's own view knows only those that are text in the locale's encoding. Strings have one
 * character for each byte.
 */
final class ExtendedAttributes {
  private static final String NAMESPACE = "user.";
  private static final int ENOENT = 2;
  private static final int EACCES = 13;
  private static final int ERANGE = 34;
  private static final int ENODATA = 61;
  private static final int EOPNOTSUPP = 95;

  /** Loaded by whoever reads a directory, not by the other commands. */
  private static final Libc LIBC = LibraryLoader.create(Libc.class).load("c");

  private static final Runtime RUNTIME = Runtime.getRuntime(LIBC);

  private ExtendedAttributes() {}

  /** Public only for the class that jnr-ffi makes of it. */
  public interface Libc {
    long llistxattr(@In byte[] path, @Out byte[] list, long size);

    long lgetxattr(@In byte[] path, @In byte[] name, @Out byte[] value, long size);
  }

  /**
   * Those of the namespace {@code user}: others say something of this machine.
   *
   * @param path no link is followed
   */
  static SortedMap<String, String> ofUser(String path) throws IOException {
    byte[] file = terminated(path);
    long size = LIBC.llistxattr(file, null, 0);
    int errno = LastError.getLastError(RUNTIME);
    if (size == 0 || (size < 0 && errno == EOPNOTSUPP)) {
      return Collections.emptySortedMap();
    }
    requireGood(size, errno, path);
    byte[] list = new byte[(int) size];
    size = LIBC.llistxattr(file, list, list.length);
    requireGood(size, LastError.getLastError(RUNTIME), path);
    SortedMap<String, String> attributes = new TreeMap<>();
    for (String name : new String(list, 0, (int) size, ISO_8859_1).split("\0", -1)) {
      if (name.startsWith(NAMESPACE)) {
        attributes.put(name, value(file, name, path));
      }
    }
    return attributes;
  }

  private static String value(byte[] file, String name, String path) throws IOException {
    byte[] value = new byte[TarEntry.MAX_ATTRIBUTE_BYTES];
    long size = LIBC.lgetxattr(file, terminated(name), value, value.length);
    requireGood(size, LastError.getLastError(RUNTIME), path);
    return new String(value, 0, (int) size, ISO_8859_1);
  }

  private static byte[] terminated(String text) {
    byte[] bytes = text.getBytes(ISO_8859_1);
    return Arrays.copyOf(bytes, bytes.length + 1);
  }

  private static void requireGood(long result, int errno, String path) throws IOException {
    if (result >= 0) {
      return;
    }
    switch (errno) {
      case ENOENT -> throw new NoSuchFileException(path);
      case EACCES -> throw new AccessDeniedException(path);
      case ERANGE, ENODATA ->
          throw new IOException(
              "the attributes of \""
                  + path
                  + "\" have changed while they were read (push it again)");
      default ->
          throw new FileSystemException(
              path, null, "cannot read its extended attributes: errno " + errno);
    }
  }
}
