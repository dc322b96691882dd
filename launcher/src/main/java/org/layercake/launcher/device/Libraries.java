package org.layercake.launcher.device;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.layercake.store.Digest;

/**
 * The libraries among a container's devices, findable. Each is there under the name that programs
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
  private final Map<String, Given.Mount> mounts = new LinkedHashMap<>();

  /**
   * Looks at the files that are to be mounted.
   *
   * @throws IOException when one cannot be read
   */
  Libraries(Edits edits) throws IOException {
    edits.mounts().forEach(mount -> mounts.put(mount.destination(), mount));
    for (Given.Mount mount : edits.mounts()) {
      Path source = Path.of(mount.source());
      if (isLibrary(mount.destination()) && Files.isRegularFile(source)) {
        Optional<String> soname = Soname.of(source).filter(name -> LIBRARY.matcher(name).matches());
        soname.ifPresent(name -> add(mount, name));
      }
    }
    edits.links().forEach(this::addLink);
  }

  private static boolean isLibrary(String path) {
    return LIBRARY.matcher(path.substring(path.lastIndexOf('/') + 1)).matches();
  }

  private void add(Given.Mount library, String name) {
    String path = library.destination();
    String beside = path.substring(0, path.lastIndexOf('/') + 1) + name;
    mounts.putIfAbsent(beside, new Given.Mount(library.source(), beside, false, false));
    links.put(name, beside);
    links.put(path.substring(path.lastIndexOf('/') + 1), path);
  }

  /**
   * A link is a mount of what it leads to; one that leads to nothing of the devices' is left out.
   */
  private void addLink(String link, String target) {
    Path path = Path.of(link).getParent().resolve(target).normalize();
    Given.Mount mount = mounts.get(path.toString());
    if (mount != null) {
      mounts.putIfAbsent(
          link, new Given.Mount(mount.source(), link, mount.writable(), mount.device()));
      if (isLibrary(link) && links.containsKey(path.getFileName().toString())) {
        links.put(link.substring(link.lastIndexOf('/') + 1), link);
      }
    }
  }

  /** All that is to be mounted. */
  List<Given.Mount> mounts() {
    return List.copyOf(mounts.values());
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
