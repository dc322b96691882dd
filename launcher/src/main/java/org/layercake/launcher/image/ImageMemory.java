package org.layercake.launcher.image;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.layercake.launcher.node.Event;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The cgroup in which all image servers are, so that what images make them need is bounded
 * together, and taken from no job; cgroups(7).
 *
 * <p>With cgroup v1 it is below the launcher's own. With v2 it is beside it, where the launcher was
 * started in a leaf of what was delegated to it (systemd's DelegateSubgroup=). The launcher does
 * not move itself into a leaf: it outlives no restart, while the image servers do, and a cgroup
 * whose children have controllers takes no process, so nobody could start it again.
 */
final class ImageMemory {
  private static final Logger log = LoggerFactory.getLogger(ImageMemory.class);

  /** The launcher's leaf; the unit file has the same name. */
  private static final String LEAF = "launcher";

  private static final String NAME = "layercake-images";
  private static final String V1_LIMIT = "memory.limit_in_bytes";
  private static final String V2_LIMIT = "memory.max";

  private ImageMemory() {}

  /**
   * Makes the cgroup, or finds that of an earlier launcher, and bounds it.
   *
   * @param bytes what all image servers together may use
   * @return options of an image server, none where there can be no such cgroup
   */
  static List<String> options(long bytes) {
    return options(bytes, NAME);
  }

  /** The same, in a cgroup of another name. */
  static List<String> options(long bytes, String name) {
    try {
      Path group = make(bytes, name);
      Event.IMAGE_MEMORY.on(log).addKeyValue("cgroup", group).addKeyValue("bytes", bytes).log();
      return List.of("--cgroup", group.resolve("cgroup.procs").toString());
    } catch (IOException | RuntimeException e) {
      Event.IMAGE_MEMORY_UNBOUNDED.on(log).addKeyValue("cause", e.toString()).log();
      return List.of();
    }
  }

  private static Path make(long bytes, String name) throws IOException {
    List<String> own = Files.readAllLines(Path.of("/proc/self/cgroup"), UTF_8);
    for (String line : own) { // ID:CONTROLLER,…:PATH
      String[] fields = line.split(":", 3);
      if (fields.length == 3 && List.of(fields[1].split(",", -1)).contains("memory")) {
        return bound(directory("cgroup", "memory", fields[2]).resolve(name), V1_LIMIT, bytes);
      }
    }
    for (String line : own) {
      if (line.startsWith("0::")) {
        return makeBeside(directory("cgroup2", "", line.substring(3)), bytes, name);
      }
    }
    throw new IOException("no memory controller in /proc/self/cgroup");
  }

  private static Path makeBeside(Path own, long bytes, String name) throws IOException {
    if (!own.endsWith(LEAF)) {
      throw new IOException(
          "cgroup " + own + " is not a leaf \"" + LEAF + "\" (systemd 254 makes one)");
    }
    Path parent = own.getParent();
    Files.writeString(parent.resolve("cgroup.subtree_control"), "+memory");
    return bound(parent.resolve(name), V2_LIMIT, bytes);
  }

  private static Path bound(Path group, String limit, long bytes) throws IOException {
    Files.createDirectories(group);
    Files.writeString(group.resolve(limit), Long.toString(bytes));
    return group;
  }

  /**
   * Where a hierarchy shows a cgroup.
   *
   * @param option of the file system, empty for any
   */
  private static Path directory(String fileSystem, String option, String cgroup)
      throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/mountinfo"), UTF_8)) {
      String[] halves = line.split(" - ", 2);
      String[] mount = halves[0].split(" ", -1);
      String[] type = halves.length < 2 ? new String[0] : halves[1].split(" ", -1);
      boolean ours = type.length >= 3 && mount.length >= 5 && type[0].equals(fileSystem);
      if (ours && (option.isEmpty() || Arrays.asList(type[2].split(",", -1)).contains(option))) {
        String root = mount[3].equals("/") ? "" : mount[3];
        boolean below = cgroup.equals(root) || cgroup.startsWith(root + "/");
        return Path.of(mount[4], below ? cgroup.substring(root.length()) : cgroup);
      }
    }
    throw new IOException("no " + fileSystem + " file system with " + option);
  }
}
