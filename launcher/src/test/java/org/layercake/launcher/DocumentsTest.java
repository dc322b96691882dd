package org.layercake.launcher;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** README.md and docs/: lines, links and charts. */
class DocumentsTest {
  private static final Path CHECKOUT = Path.of("..").toAbsolutePath().normalize();
  private static final int MAX_COLUMNS = 100;
  private static final Pattern LINK = Pattern.compile("]\\(([^)\\s]+)\\)|src(?:set)?=\"([^\"]+)\"");
  private static final Pattern FILE =
      Pattern.compile("`([A-Za-z0-9_.-]+\\.(?:java|c|h)|[A-Za-z0-9_.-]+/[^`]*)`");
  private static final Pattern HEADING = Pattern.compile("#{1,6} +(.+)");

  @Test
  void linesAreShort() throws IOException {
    List<String> longOnes = new ArrayList<>();
    for (Path document : documents()) {
      for (String line : Files.readAllLines(document)) {
        if (line.codePointCount(0, line.length()) > MAX_COLUMNS && !isUnbreakable(line)) {
          longOnes.add(document.getFileName() + ": " + line);
        }
      }
    }
    assertEquals(List.of(), longOnes);
  }

  /** A row of a table is one line. */
  private static boolean isUnbreakable(String line) {
    return line.strip().startsWith("|");
  }

  @Test
  void linksLeadSomewhere() throws IOException {
    List<String> broken = new ArrayList<>();
    for (Path document : documents()) {
      LINK.matcher(Files.readString(document))
          .results()
          .map(link -> link.group(1) != null ? link.group(1) : link.group(2))
          .filter(target -> !target.startsWith("https://"))
          .filter(target -> !leadsSomewhere(document, target))
          .forEach(target -> broken.add(document.getFileName() + ": " + target));
    }
    assertEquals(List.of(), broken);
  }

  private static boolean leadsSomewhere(Path document, String target) {
    String[] parts = target.split("#", 2);
    Path file = parts[0].isEmpty() ? document : document.resolveSibling(parts[0]);
    return Files.exists(file) && (parts.length == 1 || anchors(file).contains(parts[1]));
  }

  /** As GitHub and GitLab make them of headings. */
  private static Set<String> anchors(Path document) {
    Set<String> anchors = new HashSet<>();
    for (String line : lines(document)) {
      var heading = HEADING.matcher(line);
      if (heading.matches()) {
        String words = heading.group(1).toLowerCase(Locale.ROOT).replaceAll("[^\\p{Alnum} _-]", "");
        anchors.add(words.strip().replace(' ', '-'));
      }
    }
    return anchors;
  }

  @Test
  void rowsOfATableHaveAsManyCellsAsItsHeader() throws IOException {
    List<String> wrong = new ArrayList<>();
    for (Path document : documents()) {
      long columns = 0;
      for (String line : Files.readAllLines(document)) {
        if (!line.startsWith("|")) {
          columns = 0;
        } else if (columns == 0) {
          columns = cells(line);
        } else if (cells(line) != columns) {
          wrong.add(document.getFileName() + ": " + line);
        }
      }
    }
    assertEquals(List.of(), wrong);
  }

  private static long cells(String row) {
    return row.replace("\\|", "").chars().filter(c -> c == '|').count();
  }

  @Test
  void theMapOfTheCodeNamesFilesThatExist() throws IOException {
    Set<String> names = new HashSet<>();
    for (String part : List.of("ceph-fetch", "launcher", "spank-shim", "ssh-hook")) {
      try (Stream<Path> files = Files.walk(CHECKOUT.resolve(part))) {
        files.forEach(file -> names.add(file.getFileName().toString()));
      }
    }
    String contributing = Files.readString(CHECKOUT.resolve("docs/contributing.md"));
    int begin = contributing.indexOf("| …what | where |");
    String map = contributing.substring(begin, contributing.indexOf("\n\n", begin));
    List<String> missing =
        FILE.matcher(map)
            .results()
            .map(file -> file.group(1))
            .filter(file -> !names.contains(file) && !Files.exists(CHECKOUT.resolve(file)))
            .toList();
    assertEquals(List.of(), missing);
  }

  @Test
  void chartsShowTheFiguresBesideThem() throws Exception {
    Process charts =
        new ProcessBuilder("python3", "src/test/bench/charts", "--check")
            .directory(CHECKOUT.toFile())
            .redirectErrorStream(true)
            .start();
    String said = new String(charts.getInputStream().readAllBytes(), UTF_8);
    assertEquals("", said);
    assertEquals(0, charts.waitFor());
  }

  private static List<Path> documents() throws IOException {
    List<Path> documents = new ArrayList<>(List.of(CHECKOUT.resolve("README.md")));
    try (Stream<Path> files = Files.list(CHECKOUT.resolve("docs"))) {
      files.filter(file -> file.toString().endsWith(".md")).sorted().forEach(documents::add);
    }
    return documents;
  }

  private static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
