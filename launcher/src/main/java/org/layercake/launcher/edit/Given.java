package org.layercake.launcher.edit;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;

/**
 * What a container gets beside its image.
 *
 * @param environment changes of the image's
 * @param replacements files of the node that take the place of whatever has their name in the
 *     image's {@link #libraryDirectories}
 * @param libraryPath a directory inside, with libraries by the names that programs look for; empty
 *     for none
 * @param users names of the node's that the container knows, too
 */
public record Given(
    List<Variable> environment,
    List<Mount> mounts,
    SortedMap<String, String> replacements,
    String libraryPath,
    List<String> users) {
  /** Of a container that gets nothing. */
  public static final Given NOTHING =
      new Given(List.of(), List.of(), Collections.emptySortedMap(), "", List.of());

  /**
   * Tells who enters a container what to take out of the environment, with colons between. No image
   * can say it: what begins so is not taken from images.
   */
  private static final String UNSET = "LAYERCAKE_UNSET";

  private static final String LIBRARY_PATH = "LD_LIBRARY_PATH";
  // Of an image that does not say where its programs are.
  private static final Map<String, String> USUAL =
      Map.of("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");

  private static final int MAX_DIRECTORIES = 32;

  /** The environment of an image, changed. */
  public List<String> into(List<String> image) {
    if (environment.isEmpty() && libraryPath.isEmpty()) {
      return image;
    }
    Map<String, String> all = read(image);
    Set<String> unset = new LinkedHashSet<>();
    for (Variable variable : environment) {
      String name = variable.name();
      unset.remove(name);
      switch (variable.act()) {
        case SET -> all.put(name, variable.value());
        case PREPEND -> prepend(all, name, variable.value());
        case UNSET -> {
          all.remove(name);
          unset.add(name);
        }
      }
    }
    if (!libraryPath.isEmpty()) {
      unset.remove(LIBRARY_PATH);
      prepend(all, LIBRARY_PATH, libraryPath);
    }
    if (!unset.isEmpty()) {
      all.put(UNSET, String.join(":", unset));
    }
    List<String> changed = new ArrayList<>();
    all.forEach((name, value) -> changed.add(name + "=" + value));
    return List.copyOf(changed);
  }

  private static Map<String, String> read(List<String> environment) {
    Map<String, String> all = new LinkedHashMap<>();
    for (String variable : environment) {
      int equals = variable.indexOf('=');
      all.put(variable.substring(0, equals), variable.substring(equals + 1));
    }
    return all;
  }

  private static void prepend(Map<String, String> all, String name, String value) {
    String before = all.getOrDefault(name, USUAL.getOrDefault(name, ""));
    all.put(name, value + (before.isEmpty() ? "" : ":" + before));
  }

  /** Where programs of an image look for libraries: the usual places, and those that it names. */
  public static List<String> libraryDirectories(List<String> image) {
    String processor = System.getProperty("os.arch").replace("amd64", "x86_64");
    Set<String> directories = new LinkedHashSet<>();
    for (String above : List.of("", "/usr", "/usr/local")) {
      directories.add(above + "/lib");
      directories.add(above + "/lib64");
      directories.add(above + "/lib/" + processor + "-linux-gnu");
    }
    Arrays.stream(read(image).getOrDefault(LIBRARY_PATH, "").split(":"))
        .filter(Mount::isPath)
        .limit(MAX_DIRECTORIES - directories.size())
        .forEach(directories::add);
    return List.copyOf(directories);
  }
}
