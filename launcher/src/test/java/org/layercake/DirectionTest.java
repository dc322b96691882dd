package org.layercake;

import static java.util.Map.entry;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Which package may use which; see their package-info. */
class DirectionTest {
  private static final List<Path> SOURCES =
      List.of(Path.of("src/main/java"), Path.of("../ceph-fetch/src/main/java"));
  private static final Pattern COMMENT = Pattern.compile("(?s)/\\*.*?\\*/|//[^\n]*");
  private static final Pattern CLASS =
      Pattern.compile("\\borg\\.layercake((?:\\.[a-z]+)+)\\.[A-Z]");

  private static final Set<String> LAUNCHER =
      Set.of(".launcher.profile", ".launcher.device", ".launcher.edit", ".launcher.node", ".store");

  /** Each package without "org.layercake", and what it may use beside itself. */
  private static final Map<String, Set<String>> USES =
      Map.ofEntries(
          entry(".cli", Set.of(".pack", ".policy", ".store")),
          entry(".pack", Set.of(".store")),
          entry(".policy", Set.of(".store")),
          entry(".store", Set.of()),
          entry(".launcher", with(LAUNCHER, ".launcher.job", ".launcher.image", ".policy")),
          entry(".launcher.job", with(LAUNCHER, ".launcher.image", ".policy")),
          entry(
              ".launcher.profile",
              Set.of(".launcher.device", ".launcher.edit", ".launcher.node", ".store")),
          entry(".launcher.device", Set.of(".launcher.edit", ".launcher.node", ".store")),
          entry(".launcher.edit", Set.of(".launcher.node", ".store")),
          entry(".launcher.image", Set.of(".launcher.node", ".store")),
          entry(".launcher.node", Set.of(".store")));

  private static Set<String> with(Set<String> some, String... more) {
    Set<String> all = new TreeSet<>(some);
    all.addAll(List.of(more));
    return all;
  }

  @Test
  void everyPackageUsesOnlyThoseBelowIt() throws IOException {
    Set<String> packages = new TreeSet<>();
    List<String> wrong = new ArrayList<>();
    for (Path source : sources()) {
      String its = packageOf(source);
      packages.add(its);
      CLASS
          .matcher(code(source))
          .results()
          .map(found -> found.group(1))
          .filter(used -> !used.equals(its) && !USES.getOrDefault(its, Set.of()).contains(used))
          .forEach(used -> wrong.add(source + " uses org.layercake" + used));
    }
    assertEquals(List.of(), wrong);
    assertEquals(new TreeSet<>(USES.keySet()), packages);
  }

  /** What the image store stands on would else stand on it. */
  @Test
  void noClassOfTheStoreUsesTheImageStore() throws IOException {
    Pattern imageStore = Pattern.compile("\\bImageStore\\b");
    List<String> users = new ArrayList<>();
    for (Path source : sources()) {
      if (packageOf(source).equals(".store") && imageStore.matcher(code(source)).find()) {
        users.add(source.getFileName().toString());
      }
    }
    assertEquals(List.of("ImageStore.java"), users);
  }

  private static List<Path> sources() throws IOException {
    List<Path> sources = new ArrayList<>();
    for (Path root : SOURCES) {
      try (Stream<Path> files = Files.walk(root)) {
        files.filter(file -> file.toString().endsWith(".java")).forEach(sources::add);
      }
    }
    return sources;
  }

  private static String packageOf(Path source) {
    String path = source.getParent().toString();
    return path.substring(path.indexOf("org/layercake") + "org/layercake".length())
        .replace('/', '.');
  }

  private static String code(Path source) throws IOException {
    return COMMENT.matcher(Files.readString(source)).replaceAll(" ");
  }
}
