package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.List;
import org.junit.jupiter.api.Test;

/** The manual pages that are installed beside the command. */
class ManualIT {
  private static final String PAGES = "/usr/share/man/man1/";

  @Test
  void everyCommandHasAPage() {
    List<String> commands = commands();
    assertFalse(commands.isEmpty());
    for (String command : commands) {
      String page = PAGES + "layercake-" + command + ".1";
      assertEquals(0, Cluster.as("alice", "test -s " + page).exit(), page);
    }
  }

  @Test
  void mainPageSaysWhatEachExitCodeMeans() {
    Cluster.as("alice", "grep -q '^.SH \"EXIT STATUS\"' " + PAGES + "layercake.1").text();
  }

  /** As the installed command lists them: a name, indented by two, and a description behind it. */
  private static List<String> commands() {
    return Cluster.as("alice", "layercake --help")
        .text()
        .lines()
        .dropWhile(line -> !line.equals("Commands:"))
        .skip(1)
        .takeWhile(line -> line.startsWith(" "))
        .filter(line -> line.matches("  \\S.*"))
        .map(line -> line.strip().replaceAll(" .*", ""))
        .toList();
  }
}
