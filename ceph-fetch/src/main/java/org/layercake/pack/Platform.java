package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.INVALID;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.store.Machines;
import org.layercake.store.StoreException;

/**
 * What an image's programs run on.
 *
 * @param os as images say it; empty when they do not, and Linux is meant
 * @param architecture the processor in Go's words, as images say it; empty when they do not
 * @param variant of the processor; empty for all of them, or when images do not say
 */
public record Platform(String os, String architecture, String variant) {
  /** Of an image that says nothing of it. */
  static final Platform UNKNOWN = new Platform("", "", "");

  private static final Pattern WANTED =
      Pattern.compile("(?:linux/)?([A-Za-z0-9_]{1,32})(?:/([A-Za-z0-9._]{1,32}))?");

  /** An image that says nothing of its variant, or this, is for every processor of the name. */
  private static final List<String> PLAINEST_VARIANTS = List.of("", "v1", "v8");

  /**
   * What a user asks for: {@code arm64}, {@code aarch64}, {@code amd64/v3}, {@code linux/arm64}.
   *
   * @throws StoreException when it cannot be understood
   */
  public static Platform parse(String text) throws StoreException {
    Matcher parts = WANTED.matcher(text);
    if (!parts.matches()) {
      throw new StoreException(
          INVALID,
          "cannot understand --arch=\""
              + text
              + "\": no architecture (write, say, arm64 or amd64/v3)");
    }
    String variant = parts.group(2) == null ? "" : parts.group(2);
    return new Platform("linux", inGo(parts.group(1)), variant);
  }

  /** What this machine is. */
  public static Platform ofThisMachine() {
    return ofMachine(Machines.here());
  }

  /** A processor as {@code uname -m} says it. */
  static Platform ofMachine(String machine) {
    return new Platform("linux", inGo(machine), "");
  }

  /** What a manifest says of it. */
  static Platform of(JsonTree platform) {
    return new Platform(
        platform.get("os").text(),
        platform.get("architecture").text(),
        platform.get("variant").text());
  }

  /** Whether an image for this is one that was asked for. */
  boolean isFor(Platform wanted) {
    return (os.isEmpty() || os.equals("linux"))
        && (architecture.isEmpty() || architecture.equals(wanted.architecture))
        && (wanted.variant.isEmpty() || wanted.variant.equals(variant));
  }

  /** Sorts variants of one processor: whatever is in front runs wherever what follows does. */
  String rank() {
    return PLAINEST_VARIANTS.contains(variant) ? "" : variant;
  }

  /** Fills in what this does not say. */
  Platform or(Platform other) {
    return new Platform(
        os.isEmpty() ? other.os : os,
        architecture.isEmpty() ? other.architecture : architecture,
        variant.isEmpty() ? other.variant : variant);
  }

  /** A processor's name in Go's words, from those or the kernel's. */
  private static String inGo(String architecture) {
    return switch (architecture) {
      case "aarch64" -> "arm64";
      case "x86_64" -> "amd64";
      case "i386", "i686" -> "386";
      default -> architecture;
    };
  }

  /** The processor as {@code uname -m} says it, which is what the store keeps. */
  public String machine() {
    return switch (architecture) {
      case "arm64" -> "aarch64";
      case "amd64" -> "x86_64";
      case "386" -> "i686";
      default -> architecture;
    };
  }

  @Override
  public String toString() {
    return (os.isEmpty() || os.equals("linux") ? "" : os + "/")
        + (architecture.isEmpty() ? "unknown" : architecture)
        + (variant.isEmpty() ? "" : "/" + variant);
  }
}
