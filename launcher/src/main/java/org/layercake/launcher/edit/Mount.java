package org.layercake.launcher.edit;

import java.util.Arrays;
import org.layercake.store.ImageName;

/**
 * Something of the node that a container shows.
 *
 * @param source a path; null for an image
 * @param image what is mounted, read-only; null for a path
 * @param optional whether containers do without it where it cannot be had
 */
public record Mount(
    String source,
    ImageName image,
    String destination,
    boolean writable,
    Kind kind,
    boolean optional,
    Origin origin) {

  /** What it is to programs. */
  public enum Kind {
    /** Nothing but files. */
    PLAIN,
    /** A device node. */
    DEVICE,
    /** A part of a device's driver: its libraries are to be found. */
    DRIVER,
    /** A library that is to be found, and takes the place of the image's own. */
    REPLACEMENT
  }

  private static final int MAX_PATH_CHARS = 4095;

  /** A path that must be there. */
  public Mount(String source, String destination, boolean writable, Kind kind, Origin origin) {
    this(source, null, destination, writable, kind, false, origin);
  }

  /** Whether its libraries are to be found by their names. */
  boolean isFindable() {
    return kind == Kind.DRIVER || kind == Kind.REPLACEMENT;
  }

  /** Containers have the node's /dev. */
  boolean isThereAnyway() {
    return kind == Kind.DEVICE && source.equals(destination);
  }

  /** The same in another place, by which other names lead to it. */
  Mount on(String other) {
    return new Mount(source, image, other, writable, kind, optional, origin);
  }

  /** Whether a text is an absolute path without parts that lead elsewhere. */
  public static boolean isPath(String text) {
    return text.startsWith("/")
        && text.length() <= MAX_PATH_CHARS
        && text.chars().noneMatch(c -> c < ' ' || c == 0x7f)
        && Arrays.stream(text.split("/", -1)).noneMatch(p -> p.equals("..") || p.equals("."));
  }
}
