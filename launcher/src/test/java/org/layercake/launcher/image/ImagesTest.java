package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
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

/** With a program that mounts nothing in the place of the image server. */
class ImagesTest {
  private static final String USER = System.getProperty("user.name");
  private static final long MEMORY_BYTES = 1L << 30;

  @TempDir Path directory;
  private Path server;
  private TestStore store;
  private Images images;

  @BeforeEach
  void open() throws Exception {
    server = directory.resolve("imageserver");
    server("");
    store = new TestStore(directory.resolve("store"));
    images =
        new Images(
            new ImageSettings(
                store.config(),
                directory.resolve("cache"),
                directory.resolve("run"),
                new ImageSettings.Limits(1 << 30, 75, 64),
                new ImageSettings.Pace(1 << 30, 600),
                false,
                server,
                MEMORY_BYTES));
    images.open();
  }

  @AfterEach
  void close() {
    images.close();
    store.close();
  }

  /** Makes the program, which does something before it says that it has mounted. */
  private void server(String first) throws Exception {
    Files.writeString(
        server,
        """
        #!/bin/sh
        echo "$*" >>%s/words
        %s
        echo mounted
        exec sleep 1000
        """
            .formatted(directory, first));
    Files.setPosixFilePermissions(server, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private long starts() throws Exception {
    try (Stream<String> lines = Files.lines(directory.resolve("words"))) {
      return lines.count();
    }
  }

  private Image pushWithDirectory(String said) throws Exception {
    ImageConfig.Run run =
        new ImageConfig.Run(said, List.of(), List.of(), "", Collections.emptySortedMap());
    return store.push(
        USER,
        "one",
        packed(),
        new ImageConfig(List.of("LAYERCAKE_WORKDIR=/of/environment"), "x86_64", run));
  }

  private Image push(String... environment) throws Exception {
    return store.push(USER, "one", packed(), environment);
  }

  private Path packed() throws Exception {
    return Files.writeString(directory.resolve("packed"), "not much");
  }

  private Images.Mounted mount(Image image) throws Exception {
    Images.Reader reader =
        new Images.Reader(USER, 1000, 1001, () -> null, (found, runs, groups) -> {});
    return images.mount(ImageName.parse("one@" + image.digest()), reader, line -> {});
  }

  @Test
  void anImageServerJoinsTheCgroupOfAllImageServers() throws Exception {
    try (Images.Mounted mounted = mount(push())) {
      String given = Files.readString(directory.resolve("words"));
      String options = String.join(" ", ImageMemory.options(MEMORY_BYTES)) + " --owner 1000:1001";
      String file = directory.resolve("cache").toString();
      assertEquals(options.strip(), given.substring(0, given.indexOf(file)).strip());
      assertTrue(mounted.isAlive());
    }
  }

  @Test
  void nothingOfAnImageForAnotherProcessorIsFetched() throws Exception {
    Image image = store.push(USER, "one", packed(), new ImageConfig(List.of(), "pdp11"));
    Abort refused = assertThrows(Abort.class, () -> mount(image));
    assertEquals(ExitCode.ARCHITECTURE, refused.exitCode());
    assertTrue(refused.getMessage().contains("are for pdp11, this node is "), refused::getMessage);
    assertFalse(Files.exists(directory.resolve("words")));
  }

  @Test
  void dataMayBeForAnyProcessorAndHasNoEnvironment() throws Exception {
    Image image = store.push(USER, "one", packed(), new ImageConfig(List.of("A=1"), "pdp11"));
    Images.Reader reader =
        new Images.Reader(USER, 1000, 1001, () -> null, (found, runs, groups) -> {});
    ImageName name = ImageName.parse("one@" + image.digest());
    try (Images.Mounted mounted = images.mountData(name, reader, line -> {})) {
      assertTrue(mounted.isAlive());
      assertEquals(List.of(), mounted.environment());
    }
  }

  @Test
  void theEnvironmentNamesTheImage() throws Exception {
    Image image = push("GREETING=hello");
    try (Images.Mounted mounted = mount(image)) {
      assertEquals(
          List.of("GREETING=hello", "LAYERCAKE_IMAGE=" + image.pinned(), "LAYERCAKE_WORKDIR=/"),
          mounted.environment());
    }
  }

  @ParameterizedTest
  @CsvSource({"/opt/app, LAYERCAKE_WORKDIR=/opt/app", "app, LAYERCAKE_WORKDIR=/app"})
  void theEnvironmentNamesTheImagesWorkingDirectory(String said, String variable) throws Exception {
    try (Images.Mounted mounted = mount(pushWithDirectory(said))) {
      assertTrue(mounted.environment().contains(variable), mounted.environment().toString());
      assertFalse(mounted.environment().contains("LAYERCAKE_WORKDIR=/of/environment"));
    }
  }

  @Test
  void theEnvironmentHasTheImagesEntryPoint() throws Exception {
    assertEquals("/tini -- /s%20t%25%3B%C3%A9", entryPoint("/tini", "--", "/s t%;\u00e9"));
    assertEquals("sh -c ", entryPoint("sh", "-c", ""));
    assertEquals("x".repeat(8192), entryPoint("x".repeat(8192)));
    assertEquals("", entryPoint("x".repeat(8193)), "has no room in a frame");
    assertEquals("", entryPoint("a\0b"), "cannot be executed");
  }

  private String entryPoint(String... words) throws Exception {
    ImageConfig.Run run =
        new ImageConfig.Run("", List.of(words), List.of(), "", Collections.emptySortedMap());
    Image image = store.push(USER, "one", packed(), new ImageConfig(List.of(), "x86_64", run));
    try (Images.Mounted mounted = mount(image)) {
      String name = "LAYERCAKE_ENTRYPOINT=";
      return mounted.environment().stream()
          .filter(variable -> variable.startsWith(name))
          .findFirst()
          .orElseThrow()
          .substring(name.length());
    }
  }

  @Test
  void aDirectoryInWhichNoStepCanStartIsNotNamed() throws Exception {
    for (String said : List.of("/a\0b", "/" + "x".repeat(4095))) {
      try (Images.Mounted mounted = mount(pushWithDirectory(said))) {
        assertEquals(1, mounted.environment().size(), mounted.environment().toString());
      }
    }
  }

  @Test
  void anImageServerThatIsKilledWhileItStartsIsStartedOnceMore() throws Exception {
    Path once = directory.resolve("once");
    server("[ -e " + once + " ] || { touch " + once + "; kill -KILL $$; }");
    try (Images.Mounted mounted = mount(push())) {
      assertTrue(mounted.isAlive());
    }
    assertEquals(2, starts());
  }

  @Test
  void anImageServerThatIsKilledAgainIsGivenUp() throws Exception {
    server("kill -KILL $$");
    Image image = push();
    Abort abort = assertThrows(Abort.class, () -> mount(image));
    assertEquals(ExitCode.INTERNAL, abort.exitCode());
    assertEquals(2, starts());
  }

  @Test
  void anImageServerThatCallsTheImageDamagedIsNotAskedAgain() throws Exception {
    server("exit 65");
    Image image = push();
    assertEquals(ExitCode.DAMAGED, assertThrows(Abort.class, () -> mount(image)).exitCode());
    assertEquals(1, starts());
  }
}
