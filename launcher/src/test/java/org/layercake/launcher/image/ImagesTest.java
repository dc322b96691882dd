package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.store.Image;
import org.layercake.store.ImageName;

/** With a program that mounts nothing in the place of the image server. */
class ImagesTest {
  private static final String USER = System.getProperty("user.name");
  private static final long MEMORY_BYTES = 1L << 30;

  @TempDir Path directory;
  private TestStore store;
  private Images images;

  @BeforeEach
  void open() throws Exception {
    Path server = directory.resolve("imageserver");
    String words = "echo \"$*\" >" + directory.resolve("words") + "; echo mounted; exec sleep 1000";
    Files.writeString(server, "#!/bin/sh\n" + words + "\n");
    Files.setPosixFilePermissions(server, PosixFilePermissions.fromString("rwxr-xr-x"));
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

  private Image push(String... environment) throws Exception {
    Path packed = Files.writeString(directory.resolve("packed"), "not much");
    return store.push(USER, "one", packed, environment);
  }

  private Images.Mounted mount(Image image) throws Exception {
    Images.Reader reader = new Images.Reader(USER, 1000, () -> null);
    return images.mount(ImageName.parse("one@" + image.digest()), reader, line -> {});
  }

  @Test
  void anImageServerJoinsTheCgroupOfAllImageServers() throws Exception {
    try (Images.Mounted mounted = mount(push())) {
      String given = Files.readString(directory.resolve("words"));
      String options = String.join(" ", ImageMemory.options(MEMORY_BYTES));
      String file = directory.resolve("cache").toString();
      assertEquals(options, given.substring(0, given.indexOf(file)).strip());
      assertTrue(mounted.isAlive());
    }
  }

  @Test
  void theEnvironmentNamesTheImage() throws Exception {
    Image image = push("GREETING=hello");
    try (Images.Mounted mounted = mount(image)) {
      assertEquals(
          List.of("GREETING=hello", "LAYERCAKE_IMAGE=" + image.pinned()), mounted.environment());
    }
  }
}
