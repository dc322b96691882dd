package org.layercake;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Which package may use which, and which class none in its package; see their package-info. */
class DirectionTest {
  private static final Path SOURCES = Path.of("src/main/java/org/layercake");
  private static final Pattern COMMENT = Pattern.compile("(?s)/\\*.*?\\*/|//[^\n]*");
  private static final Pattern PACKAGE = Pattern.compile("\\borg\\.layercake\\.([a-z]+)\\b");

  private static final Map<String, Set<String>> USES =
      Map.of(
          "cli", Set.of("cli", "pack", "store"),
          "pack", Set.of("pack", "store"),
          "store", Set.of("store"));

  @Test
  void commandsUsePackingAndPackingUsesTheStoreAndNeverTheOtherWayRound() throws IOException {
    try (Stream<Path> packages = Files.list(SOURCES)) {
      assertEquals(
          USES.keySet(),
          Set.copyOf(packages.map(folder -> folder.getFileName().toString()).toList()));
    }
    for (Map.Entry<String, Set<String>> uses : USES.entrySet()) {
      for (Path source : sources(uses.getKey())) {
        List<String> wrong =
            PACKAGE
                .matcher(code(source))
                .results()
                .map(found -> found.group(1))
                .filter(used -> !uses.getValue().contains(used))
                .toList();
        assertEquals(List.of(), wrong, source.toString());
      }
    }
  }

  /** What it stands on would else stand on it. */
  @Test
  void noClassOfTheStoreUsesTheImageStore() throws IOException {
    Pattern imageStore = Pattern.compile("\\bImageStore\\b");
    for (Path source : sources("store")) {
      boolean isItself = source.endsWith("ImageStore.java");
      assertEquals(isItself, imageStore.matcher(code(source)).find(), source.toString());
    }
  }

  private static List<Path> sources(String name) throws IOException {
    try (Stream<Path> files = Files.list(SOURCES.resolve(name))) {
      List<Path> sources = files.toList();
      assertFalse(sources.isEmpty());
      return sources;
    }
  }

  private static String code(Path source) throws IOException {
    return COMMENT.matcher(Files.readString(source)).replaceAll(" ");
  }
}
