package org.layercake.it;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

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

  @ParameterizedTest
  @CsvSource({
    "5, layercake-launcher.conf, cache-budget",
    "5, layercake-store.conf, keyring",
    "5, layercake-policy, partition",
    "5, layercake-profiles, replace",
    "8, layercake-launcher, imageserver-died",
    "8, layercake-check, --quick"
  })
  void administratorsPagesHaveTheTablesOfTheDocuments(int section, String name, String term) {
    String page = page(section, name).replace("\\-", "-");
    assertTrue(page.contains("\n\\fB" + term + "\\fP"), page);
  }

  private static String page(String name) {
    return page(1, name);
  }

  private static String page(int section, String name) {
    String path = "/usr/share/man/man%d/%s.%d".formatted(section, name, section);
    return Cluster.as("alice", "zcat --force " + path + "*").text();
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
