package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

/** The manual pages that are installed beside the command; packages have them compressed. */
class ManualIT {
  @Test
  void everyCommandHasAPage() {
    List<String> commands = commands();
    assertFalse(commands.isEmpty());
    for (String command : commands) {
      assertTrue(page("layercake-" + command).contains(".SH \"SYNOPSIS\""), command);
    }
  }

  @Test
  void mainPageSaysWhatEachExitCodeMeans() {
    assertTrue(page("layercake").contains(".SH \"EXIT STATUS\""));
  }

  private static String page(String name) {
    return Cluster.as("alice", "zcat --force /usr/share/man/man1/" + name + ".1*").text();
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
