package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What people type by habit, where they send what is printed, and what programs read of it. */
class TypedTest extends CommandTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "images | type: layercake ls",
        "list | type: layercake ls",
        "rmi | type: layercake rm NAME",
        "delete | type: layercake rm NAME",
        "cp | type: layercake copy NAME NEW",
        "import | type: layercake push SOURCE NAME",
        "load | type: layercake push SOURCE NAME",
        "login | type: skopeo login REGISTRY",
        "build | type: ch-image build",
        "run | type: srun --ch-image=NAME COMMAND",
        "psuh | did you mean layercake push?",
        "Ls | did you mean layercake ls?",
        "frobnicate | see: layercake --help"
      })
  void wordsOfOtherProgramsAreAnsweredWithTheCommandThatIsMeant(String word, String hint) {
    for (String[] typed :
        List.of(new String[] {word}, new String[] {word, "-a", "x"}, new String[] {"help", word})) {
      assertEquals(64, layercake(typed), this::said);
      assertEquals(1, complaints().size(), this::said);
      assertTrue(
          said().startsWith("layercake: cannot run \"" + word + "\": there is no such command ("),
          this::said);
      assertTrue(said().contains(hint), this::said);
    }
  }

  @Test
  void helpOfACommandIsWhatItsOptionSays() {
    for (String command : List.of("push", "rm", "generate-completion")) {
      assertEquals(0, layercake(command, "--help"), this::said);
      String help = printed();
      assertEquals(0, layercake("help", command), this::said);
      assertEquals(help, printed());
      assertTrue(help.contains("Usage: layercake " + command), help);
    }
    assertEquals(0, layercake("help"), this::said);
    assertTrue(printed().contains("Commands:"), this::said);
    assertEquals(0, layercake("ls", "--json", "--help"), this::said);
    assertFalse(printed().contains("\"version\""), this::said);
  }

  @ParameterizedTest
  @ValueSource(strings = {"ls", "ls --json", "du", "key bob", "--version", "help", "help rm"})
  void whatCannotBePrintedIsAFailure(String line) throws Exception {
    assertEquals(0, layercake("push", exampleTree().toString(), "a"), this::said);
    try (OutputStream full = new FileOutputStream("/dev/full")) {
      output = new Output(full, UTF_8);
      assertEquals(73, layercake(line.split(" ")), this::said);
    }
    assertEquals(
        List.of(
            "layercake: cannot write to the standard output: No space left on device (send it"
                + " elsewhere)"),
        complaints());
  }

  @Test
  void aReaderThatHasSeenEnoughIsNoComplaint() throws Exception {
    output =
        new Output(
            new OutputStream() {
              @Override
              public void write(int b) throws IOException {
                throw new IOException("Broken pipe");
              }
            },
            UTF_8);
    assertEquals(141, layercake("help"), this::said);
    assertEquals(List.of(), complaints());
  }

  @Test
  void everyAnswerForProgramsIsOneObjectWithAVersionAndErrors() throws Exception {
    String tree = exampleTree().toString();
    for (String line :
        List.of(
            "push --json " + tree + " a",
            "ls --json",
            "inspect --json a",
            "tag --json a b",
            "share --json a --with daemon,all",
            "unshare --json a",
            "du --json",
            "gc --json",
            "verify --json --digests a",
            "key --json bob",
            "policy --json check",
            "rm --json a b")) {
      assertEquals(0, layercake(line.split(" ")), this::said);
      assertTrue(printed().startsWith("{\n  \"version\" : 1,\n"), this::said);
      assertTrue(printed().endsWith("  \"errors\" : [ ]\n}\n"), this::said);
    }
  }

  @Test
  void whatFailsIsInTheAnswerForProgramsBesideWhatDidNot() throws Exception {
    layercake("push", exampleTree().toString(), "a");
    assertEquals(77, layercake("rm", "--json", "gone", "a", "bob/c"), this::said);
    assertTrue(printed().contains("\"name\" : \"alice/a:latest\""), this::said);
    assertTrue(printed().matches("(?s).*\"code\" : 66,.*\"code\" : 77,.*"), this::said);
    assertEquals(2, complaints().size(), this::said);
    for (String line : List.of("ls --json --frob", "frob --json", "inspect --json a%b")) {
      assertEquals(64, layercake(line.split(" ")), this::said);
      assertTrue(printed().contains("\"code\" : 64,"), this::said);
      assertTrue(printed().contains("\"message\" : \"cannot "), this::said);
    }
  }
}
