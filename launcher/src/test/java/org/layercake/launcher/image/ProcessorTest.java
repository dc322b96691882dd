package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.layercake.launcher.node.Abort;
import org.layercake.store.ExitCode;
import org.layercake.store.Image;
import org.layercake.store.ImageConfig;
import org.layercake.store.ImageName;

/** Of images for another processor no program is started. */
class ProcessorTest {
  private static final String USER = System.getProperty("user.name");

  @TempDir Path directory;
  private Path interpreters;

  @BeforeEach
  void makeInterpreters() throws Exception {
    interpreters = Files.createDirectory(directory.resolve("binfmt_misc"));
  }

  @ParameterizedTest
  @CsvSource({
    "x86_64, x86_64",
    "x86_64, i686",
    "x86_64, noarch",
    "aarch64, aarch64",
    "aarch64, arm",
    "riscv64, riscv64"
  })
  void whatAProcessorRunsIsTaken(String node, String image) throws Exception {
    assertDoesNotThrow(() -> require(node, image));
  }

  @ParameterizedTest
  @CsvSource({"x86_64, aarch64", "aarch64, x86_64", "aarch64, i686", "x86_64, arm"})
  void otherImagesAreRefusedWithBothNames(String node, String image) throws Exception {
    Abort refused = assertThrows(Abort.class, () -> require(node, image));
    assertEquals(ExitCode.ARCHITECTURE, refused.exitCode());
    assertEquals(
        "cannot start one:latest: its programs are for %s, this node is %s (choose nodes that are, or push an image that is for %s)"
            .formatted(image, node, node),
        refused.getMessage());
  }

  @Test
  void anInterpreterOfTheNodeRunsThem() throws Exception {
    assertThrows(Abort.class, () -> require("x86_64", "aarch64"));
    Files.createFile(interpreters.resolve("qemu-aarch64"));
    assertDoesNotThrow(() -> require("x86_64", "aarch64"));
  }

  private void require(String node, String architecture) throws Exception {
    Path packed = Files.writeString(directory.resolve("packed"), "not much");
    try (TestStore store = new TestStore(directory.resolve("store" + System.nanoTime()))) {
      Image image = store.push(USER, "one", packed, new ImageConfig(List.of(), architecture));
      new Processor(node, interpreters).require(ImageName.parse("one"), image);
    }
  }
}
