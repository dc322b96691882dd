package org.layercake.launcher.edit;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.layercake.store.Digest;

/**
 * The libraries among a container's mounts, findable. Each is there under the name that programs
 * look for, which specs leave to ldconfig(8): beside the file, and in a directory of links that
 * alone is in {@code LD_LIBRARY_PATH}. So nothing else of the image comes before what a program
 * would load otherwise, no cache of the image's has to be written anew, for which all of its
 * libraries would have to be fetched, and it holds for any C library.
 */
final class Libraries {
  /** Where containers have the links. */
  static final String INSIDE = "/.layercake/lib";

  private static final Pattern LIBRARY = Pattern.compile("lib[^/]*\\.so(\\.[^/]*)?");

  private final SortedMap<String, String> links = new TreeMap<>();
  private final SortedMap<String, String> replacements = new TreeMap<>();
  private final Map<String, Mount> mounts = new LinkedHashMap<>();

  /**
   * Looks at the files that are to be mounted.
   *
   * @throws IOException when one cannot be read
   */
  Libraries(Edits edits, Sonames sonames) throws IOException {
    edits.mounts().forEach(mount -> mounts.put(mount.destination(), mount));
    for (Mount mount : edits.mounts()) {
      if (mount.isFindable() && isLibrary(mount.destination())) {
        Path source = Path.of(mount.source());
        if (Files.isRegularFile(source)) {
          sonames
              .of(source)
              .filter(name -> LIBRARY.matcher(name).matches())
              .ifPresent(name -> add(mount, name));
        }
      }
    }
    edits.links().forEach(this::addLink);
  }

  private static boolean isLibrary(String path) {
    return LIBRARY.matcher(fileName(path)).matches();
  }

  private void add(Mount library, String soname) {
    String path = library.destination();
    String file = fileName(path);
    if (library.kind() == Mount.Kind.REPLACEMENT) {
      replacements.put(soname, library.source());
      replacements.put(file, library.source());
    }
    String beside = path.substring(0, path.length() - file.length()) + soname;
    mounts.putIfAbsent(beside, library.on(beside));
    links.put(soname, beside);
    links.put(file, path);
  }

  private static String fileName(String path) {
    return path.substring(path.lastIndexOf('/') + 1);
  }

  /**
   * A link is a mount of what it leads to; one that leads to nothing of the devices' is left out.
   */
  private void addLink(String link, String target) {
    Path path = Path.of(link).getParent().resolve(target).normalize();
    Mount mount = mounts.get(path.toString());
    if (mount != null) {
      mounts.putIfAbsent(link, mount.on(link));
      if (isLibrary(link) && links.containsKey(path.getFileName().toString())) {
        links.put(fileName(link), link);
      }
    }
  }

  /** All that is to be mounted. */
  List<Mount> mounts() {
    return List.copyOf(mounts.values());
  }

  /** What takes the place of the image's own libraries, by the names of those. */
  SortedMap<String, String> replacements() {
    return Collections.unmodifiableSortedMap(replacements);
  }

  boolean areNone() {
    return links.isEmpty();
  }

  /**
   * Makes the directory of links below another, once for what is in it.
   *
   * @return its path
   */
  Path make(Path directory) throws IOException {
    List<String> lines = new ArrayList<>();
    links.forEach((name, target) -> lines.add(name + " " + target));
    String name = Digest.of(String.join("\n", lines).getBytes(UTF_8)).hex().substring(0, 32);
    Path made = directory.resolve(name);
    if (Files.isDirectory(made)) {
      return made;
    }
    Path staged = Files.createTempDirectory(directory, ".new");
    Files.setPosixFilePermissions(staged, PosixFilePermissions.fromString("rwxr-xr-x"));
    for (Map.Entry<String, String> link : links.entrySet()) {
      Files.createSymbolicLink(staged.resolve(link.getKey()), Path.of(link.getValue()));
    }
    try {
      return Files.move(staged, made);
    } catch (FileAlreadyExistsException e) { // another thread was faster
      for (String link : links.keySet()) {
        Files.delete(staged.resolve(link));
      }
      Files.delete(staged);
      return made;
    }
  }
}
