package org.layercake.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The environment that the start script of command and launcher gives the JVM. */
class StartScriptTest {
  private static final Path SCRIPT =
      Path.of("../launcher/src/main/dist/usr/lib/layercake/jvm").toAbsolutePath();

  @TempDir Path work;

  private Path script;

  /** As on a node that has no archive of classes: java is the one on the path. */
  @BeforeEach
  void copyScript() throws IOException {
    script = work.resolve("jvm");
    Files.writeString(
        script, Files.readString(SCRIPT).replace("/usr/lib/layercake", work.toString()));
  }

  @ParameterizedTest
  @CsvSource({
    "LANG=de_DE.UTF-8, de_DE.UTF-8",
    "LANG=de_DE.UTF-8 LC_CTYPE=fr_FR, fr_FR",
    "LANG=de_DE.UTF-8 LC_CTYPE=fr_FR LC_ALL=C.UTF-8, C.UTF-8",
    "LANG=de_DE.UTF-8 LC_ALL= LC_CTYPE=, de_DE.UTF-8",
    "LC_MESSAGES=de_DE.UTF-8 LANGUAGE=de LC_TIME=xx_XX, C",
  })
  void messagesAreInEnglishAndFileNamesKeepTheirEncoding(String settings, String ctype)
      throws Exception {
    Path java =
        Files.writeString(
            Files.createDirectory(work.resolve("bin")).resolve("java"),
            "#!/bin/sh\nenv | grep -E '^(LC_|LANG)' | LC_ALL=C sort\n");
    assertTrue(java.toFile().setExecutable(true));
    assertEquals(
        List.of("LANG=C", "LC_CTYPE=" + ctype, "LC_MESSAGES=C"),
        jvm(java.getParent(), settings, "Main"));
  }

  @Test
  void aLocaleThatTheNodeLacksDoesNotTakeUtf8Away() throws Exception {
    List<String> settings =
        jvm(
            Path.of(System.getProperty("java.home"), "bin"),
            "LANG=xx_XX.UTF-8 LC_TIME=xx_XX LC_CTYPE=C.UTF-8",
            "-XshowSettings:properties -version");
    assertTrue(settings.contains("    sun.jnu.encoding = UTF-8"), settings::toString);
  }

  private List<String> jvm(Path java, String settings, String arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of("env", "-i"));
    command.addAll(Arrays.asList(settings.split(" ")));
    command.add("PATH=" + java + ":/usr/bin:/bin");
    command.addAll(List.of("sh", "-c", ". \"$0\"; jvm " + arguments, script.toString()));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    return new String(process.getInputStream().readAllBytes(), UTF_8).lines().toList();
  }
}
