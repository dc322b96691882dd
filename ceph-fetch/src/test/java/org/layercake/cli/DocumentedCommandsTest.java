package org.layercake.cli;

import static java.util.stream.Collectors.toSet;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

/** What the documents have a reader type: there are such commands and options. */
class DocumentedCommandsTest {
  private static final Path CHECKOUT = Path.of("..");

  /** Up to what is a shell's matter, or a comment. */
  private static final Pattern COMMAND =
      Pattern.compile(
          "(?m)^ {4,}(?:.*(?:\\| |\\$ |none |root |conf ))?layercake ([a-z][^|>#&\\n…]*)");

  private static final Pattern WORD = Pattern.compile("'([^']*)'|(\\S+)");
  private static final Pattern OPTION = Pattern.compile("--ch-([a-z]+)");

  private static String documents() throws IOException {
    StringBuilder text = new StringBuilder(Files.readString(CHECKOUT.resolve("README.md")));
    for (String name : List.of("user-guide", "building", "operations")) {
      text.append(Files.readString(CHECKOUT.resolve("docs/" + name + ".md")));
    }
    return text.toString();
  }

  @Test
  void commandsCanBeUnderstood() throws IOException {
    List<String> commands =
        COMMAND.matcher(documents()).results().map(command -> command.group(1)).toList();
    assertTrue(commands.size() > 25, commands.toString());
    List<String> wrong = new ArrayList<>();
    for (String command : commands) {
      List<String> words =
          WORD.matcher(command).results().map(DocumentedCommandsTest::word).toList();
      try {
        new CommandLine(new Layercake())
            .setCaseInsensitiveEnumValuesAllowed(true)
            .parseArgs(words.toArray(String[]::new));
      } catch (ParameterException e) {
        wrong.add(command + ": " + e.getMessage());
      }
    }
    assertEquals(List.of(), wrong);
  }

  private static String word(MatchResult word) {
    return word.group(1) != null ? word.group(1) : word.group(2);
  }

  @Test
  void optionsOfSrunAreThoseOfThePlugin() throws IOException {
    Set<String> documented =
        OPTION.matcher(documents()).results().map(option -> option.group(1)).collect(toSet());
    String plugin = Files.readString(CHECKOUT.resolve("spank-shim/options.c"));
    Set<String> has =
        Pattern.compile("\\{\"ch-([a-z]+)\", ")
            .matcher(plugin)
            .results()
            .map(option -> option.group(1))
            .collect(toSet());
    assertEquals(new TreeSet<>(has), new TreeSet<>(documented));
  }
}
