package org.layercake.launcher.edit;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.layercake.launcher.node.Abort;
import org.layercake.store.ExitCode;

/** Makes of edits what can be given to a container: looks at the node's files. */
public final class Editor {
  private static final int MAX_MOUNTS = 1024;
  private static final int MAX_NAMES_TOLD = 12;

  private final Path links;
  private final Sonames sonames = new Sonames();

  /**
   * Makes nothing yet.
   *
   * @param links where directories with links to libraries may be made
   */
  public Editor(Path links) {
    this.links = links;
  }

  /**
   * What a container gets that is to have these.
   *
   * @throws Abort {@link ExitCode#MISCONFIGURED} naming who needs what is not on this node
   */
  public Given give(Edits edits) throws Abort {
    if (edits.equals(Edits.NONE)) {
      return Given.NOTHING;
    }
    requireAll(edits.mounts());
    try {
      Libraries libraries = new Libraries(edits, sonames);
      List<Mount> mounts = new ArrayList<>(libraries.mounts());
      mounts.removeIf(Mount::isThereAnyway);
      String path = "";
      if (!libraries.areNone()) {
        Files.createDirectories(links);
        // Holders open what is in it as users; a umask may have closed it.
        Files.setPosixFilePermissions(links, PosixFilePermissions.fromString("rwx--x--x"));
        path = Libraries.INSIDE;
        Origin ours = new Origin("the directory of libraries", "make room in the run directory");
        mounts.add(
            new Mount(libraries.make(links).toString(), path, false, Mount.Kind.PLAIN, ours));
      }
      if (mounts.size() > MAX_MOUNTS) {
        throw new Abort(
            ExitCode.MISCONFIGURED,
            "cannot start the container: profiles and devices have "
                + mounts.size()
                + " mounts, at most "
                + MAX_MOUNTS
                + " are possible (tell the site: mount directories instead of what is in them)");
      }
      return new Given(
          edits.environment(), List.copyOf(mounts), libraries.replacements(), path, edits.users());
    } catch (IOException e) {
      throw new Abort(
          ExitCode.MISCONFIGURED,
          "cannot start the container: the node's libraries cannot be read: "
              + e
              + " (tell the site)",
          e);
    }
  }

  /** All that is missing of the first who misses something is said at once. */
  private static void requireAll(List<Mount> mounts) throws Abort {
    List<Mount> missing =
        mounts.stream().filter(m -> !m.optional() && m.image() == null && isMissing(m)).toList();
    if (missing.isEmpty()) {
      return;
    }
    Origin origin = missing.get(0).origin();
    List<String> its =
        missing.stream()
            .filter(mount -> mount.origin().equals(origin))
            .map(mount -> "\"" + mount.source() + "\"")
            .distinct()
            .toList();
    throw new Abort(
        ExitCode.MISCONFIGURED,
        "cannot start the container: "
            + origin.name()
            + " needs "
            + its.stream().limit(MAX_NAMES_TOLD).collect(Collectors.joining(", "))
            + (its.size() > MAX_NAMES_TOLD ? ", …" : "")
            + (its.size() == 1 ? ", which is" : ", which are")
            + " not on this node (tell the site: "
            + origin.remedy()
            + ")");
  }

  /** What root may not see, as on a network's file system, the user may: the holder says. */
  private static boolean isMissing(Mount mount) {
    try {
      Files.getLastModifiedTime(Path.of(mount.source()));
      return false;
    } catch (NoSuchFileException e) {
      return true;
    } catch (FileSystemException e) {
      return String.valueOf(e.getReason()).equals("Not a directory");
    } catch (IOException e) {
      return false;
    }
  }
}
