package org.layercake.launcher.device;

import java.util.ArrayList;
import java.util.List;

/**
 * What a container gets for its devices.
 *
 * @param environment {@code NAME=VALUE} each; wins over the image's
 * @param mounts that must be had
 * @param libraryPath a directory inside, with the devices' libraries by the names that programs
 *     look for; empty for none
 */
public record Given(List<String> environment, List<Mount> mounts, String libraryPath) {
  /** Of a container without devices. */
  public static final Given NOTHING = new Given(List.of(), List.of(), "");

  private static final String LIBRARY_PATH = "LD_LIBRARY_PATH=";

  /**
   * A path of the node, and where the container shows it.
   *
   * @param device whether it is a device node: one that the container has anyway needs no mount
   */
  public record Mount(String source, String destination, boolean writable, boolean device) {
    /** Containers have the node's /dev. */
    boolean isThereAnyway() {
      return device && source.equals(destination);
    }
  }

  /** The environment of an image, with what its devices want in it. */
  public List<String> into(List<String> image) {
    if (environment.isEmpty() && libraryPath.isEmpty()) {
      return image;
    }
    List<String> all = new ArrayList<>(image);
    all.addAll(environment);
    if (!libraryPath.isEmpty()) {
      String before =
          all.stream()
              .filter(variable -> variable.startsWith(LIBRARY_PATH))
              .reduce((first, last) -> last)
              .map(variable -> variable.substring(LIBRARY_PATH.length()))
              .orElse("");
      all.add(LIBRARY_PATH + libraryPath + (before.isEmpty() ? "" : ":" + before));
    }
    return List.copyOf(all);
  }
}
