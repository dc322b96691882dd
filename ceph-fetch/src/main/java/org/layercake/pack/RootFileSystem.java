package org.layercake.pack;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** What a root file system is known by, and what others are that are pushed by mistake. */
final class RootFileSystem {
  /** Directories in which programs are, or links to such. */
  private static final Set<String> PROGRAMS =
      Set.of("bin", "ch", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "usr");

  private static final Set<String> OTHERS =
      Set.of(
          ".dockerenv",
          "boot",
          "dev",
          "etc",
          "home",
          "media",
          "mnt",
          "proc",
          "root",
          "run",
          "srv",
          "sys",
          "tmp",
          "var");

  private static final Set<String> OF_LAYERS =
      Set.of("blobs", "index.json", "manifest.json", "oci-layout", "repositories");
  private static final Pattern LAYER = Pattern.compile("(sha256:)?[0-9a-f]{64}(\\..*)?|.*layer.*");
  private static final Pattern RECIPE =
      Pattern.compile("(?i)(docker|container|singularity|apptainer)file.*|singularity|.*\\.def");
  private static final int MAX_SHOWN = 8;
  private static final int EXECUTABLE = 0111;

  private RootFileSystem() {}

  /** Whether a root file system may have this at its top, and others hardly do. */
  static boolean has(String name) {
    return PROGRAMS.contains(name) || OTHERS.contains(name);
  }

  /** Whether a directory has any of that. */
  static boolean isIn(Path directory) {
    return Stream.concat(PROGRAMS.stream(), OTHERS.stream())
        .anyMatch(name -> Files.exists(directory.resolve(name)));
  }

  /**
   * Refuses a tree in which nothing can be run.
   *
   * @throws IOException with what is there, and why that may be
   */
  static void require(FileTree tree) throws IOException {
    FileTree.Node root = tree.root();
    if (root.children().values().stream().anyMatch(RootFileSystem::hasPrograms)) {
      return;
    }
    List<String> names = List.copyOf(root.children().keySet());
    String shown = String.join(", ", names.stream().limit(MAX_SHOWN).toList());
    String more = names.size() > MAX_SHOWN ? ", …" : "";
    throw new IOException(
        "nothing in it can be run: at its top is "
            + (names.isEmpty() ? "nothing" : "no bin, usr or the like, but " + shown + more)
            + " ("
            + advice(root)
            + "--data for a data set, --force to store it as it is)");
  }

  private static boolean hasPrograms(FileTree.Node node) {
    FileTree.Inode inode = node.inode();
    return inode.isFile()
        ? (inode.mode() & EXECUTABLE) != 0
        : PROGRAMS.contains(node.name())
            && (inode.isDirectory() || inode.type() == TarEntry.SYMBOLIC_LINK);
  }

  /** What it more likely is, and what to do then. */
  private static String advice(FileTree.Node root) {
    Set<String> names = root.children().keySet();
    if (isOfLayers(names)) {
      return "it looks like an image in layers, in a form that is not known: write it with \"skopeo"
          + " copy … oci-archive:FILE\"; ";
    }
    Optional<FileTree.Node> below =
        root.children().values().stream()
            .filter(
                node ->
                    node.children().values().stream().anyMatch(RootFileSystem::hasPrograms)
                        || isOfLayers(node.children().keySet()))
            .findFirst();
    if (below.isPresent()) {
      String name = below.get().name();
      return "the image is in its directory \""
          + name
          + "\": push that, or \"tar -C "
          + name
          + " -c .\"; ";
    }
    if (names.stream().anyMatch(name -> RECIPE.matcher(name).matches())) {
      return "an image is built of it first, by docker, podman or ch-image; ";
    }
    return "";
  }

  private static boolean isOfLayers(Set<String> names) {
    return names.stream().anyMatch(OF_LAYERS::contains)
        || (!names.isEmpty() && names.stream().allMatch(name -> LAYER.matcher(name).matches()));
  }
}
