package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Exit codes have one table in Java, one in C and one for users, which say the same. */
class ExitCodeTest {
  private static final Pattern IN_C = Pattern.compile("(?m)^\\s*EXIT_(\\w+) = (\\d+),");
  private static final Pattern ROW = Pattern.compile("(?m)^\\| `?(\\d+)`? \\|");

  private static Map<String, Integer> inJava() throws Exception {
    Map<String, Integer> codes = new TreeMap<>();
    for (Field field : ExitCode.class.getFields()) {
      codes.put(field.getName(), field.getInt(null));
    }
    return codes;
  }

  private static String text(String path) throws Exception {
    return Files.readString(Path.of("..").resolve(path));
  }

  @Test
  void javaAndCHaveTheSameNamesAndCodes() throws Exception {
    Map<String, Integer> inC = new TreeMap<>();
    for (MatchResult each : IN_C.matcher(text("spank-shim/shared/exits.h")).results().toList()) {
      inC.put(each.group(1), Integer.valueOf(each.group(2)));
    }
    inC.values().removeIf(code -> code >= 126); // a shell's, of commands that are no programs
    assertEquals(inC, inJava());
  }

  @Test
  void theUserGuideTellsWhatToDoForEach() throws Exception {
    String guide = text("docs/user-guide.md");
    assertEquals(new TreeSet<>(inJava().values()), rows(guide.substring(guide.indexOf("| 64 |"))));
  }

  @Test
  void theProtocolKnowsNoOthersOfAnImageServer() throws Exception {
    String protocol = text("docs/protocol.md");
    Set<Integer> codes = rows(protocol.substring(protocol.indexOf("| 64 |")));
    assertFalse(codes.isEmpty());
    codes.removeAll(inJava().values());
    assertEquals(new TreeSet<>(), codes);
  }

  /** The numbers that rows of the table begin with. */
  private static Set<Integer> rows(String table) {
    Set<Integer> codes = new TreeSet<>();
    ROW.matcher(table.split("\n\n", -1)[0])
        .results()
        .forEach(row -> codes.add(Integer.valueOf(row.group(1))));
    return codes;
  }
}
