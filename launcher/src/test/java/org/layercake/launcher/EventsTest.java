package org.layercake.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.layercake.launcher.node.Event;
import org.layercake.store.LogEvent;
import org.layercake.store.StoreEvent;
import org.slf4j.event.Level;

/** The list of events in the code, the places that log them, and their table in the manual. */
class EventsTest {
  private static final Path MANUAL = Path.of("../docs/operations.md");
  private static final String HEAD = "| event | level | meaning |\n|---|---|---|\n";

  /**
   * With {@code -Dlayercake.write} the table is written anew: {@code mvn -pl launcher -am test
   * -Dtest=EventsTest -Dlayercake.write}.
   */
  @Test
  void theManualHasAllEventsAsTheCodeHasThem() throws IOException {
    String table =
        all()
            .filter(event -> event.level().toInt() >= Level.INFO.toInt())
            .map(e -> "| `%s` | %s | %s |\n".formatted(e.label(), e.level(), e.meaning()))
            .collect(Collectors.joining());
    String manual = Files.readString(MANUAL);
    int from = manual.indexOf(HEAD) + HEAD.length();
    int to = manual.indexOf("\n\n", from - 1) + 1;
    assertTrue(manual.contains(HEAD) && to >= from, "no table of events in " + MANUAL);
    if (System.getProperty("layercake.write") != null) {
      Files.writeString(MANUAL, manual.substring(0, from) + table + manual.substring(to));
      return;
    }
    assertEquals(table, manual.substring(from, to));
  }

  @Test
  void eachEventIsLoggedAndNothingElse() throws IOException {
    Pattern bare =
        Pattern.compile("\\b(?i:log)\\s*\\.\\s*(trace|debug|info|warn|error|at[A-Z]\\w+)\\(");
    String code = "";
    List<String> wrong = new ArrayList<>();
    for (Path source : sources()) {
      String text = Files.readString(source);
      if (List.of("LogEvent.java", "Event.java").contains(source.getFileName().toString())) {
        continue;
      }
      bare.matcher(text).results().forEach(found -> wrong.add(source + ": " + found.group()));
      code += text;
    }
    for (LogEvent event : all().toList()) {
      if (!Pattern.compile("Event\\s*\\.\\s*" + event.name() + "\\b").matcher(code).find()) {
        wrong.add(event + " is never logged");
      }
    }
    assertEquals(List.of(), wrong);
  }

  @Test
  void noTwoEventsHaveOneName() {
    List<String> names = all().map(LogEvent::label).toList();
    assertEquals(names.stream().distinct().toList(), names);
  }

  private static Stream<LogEvent> all() {
    return Stream.concat(Arrays.stream(Event.values()), Arrays.stream(StoreEvent.values()));
  }

  private static List<Path> sources() throws IOException {
    List<Path> sources = new ArrayList<>();
    for (String root : List.of("src/main/java", "../ceph-fetch/src/main/java")) {
      try (Stream<Path> files = Files.walk(Path.of(root))) {
        files.filter(file -> file.toString().endsWith(".java")).forEach(sources::add);
      }
    }
    return sources;
  }
}
