package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.node.Libc;
import org.layercake.store.ImageName;

/** Real overlays, for which this must be root; what is below them is a directory. */
@Timeout(60)
class ChangesTest extends NodeTestCase {
  static final long MIB = 1 << 20;
  static final long UID = 4001;
  static final long GID = 4002;

  Changes changes;
  private Images images;
  Images.Mounted image;

  @BeforeEach
  void mount() throws Exception {
    changes = changes();
    images = node.launcher().images;
    mountImage();
    Files.writeString(image.directory().resolve("file"), "of the image");
  }

  private void mountImage() throws Exception {
    // By its digest, for which no job is needed.
    ImageName name = ImageName.parse("site/small@" + node.digest());
    image =
        images.mount(
            name,
            new Images.Reader("root", UID, GID, () -> null, (image, runs, groups) -> {}),
            line -> {});
  }

  Path directory() {
    return node.runDirectory.resolve("changes");
  }

  /** Where they are kept, if not in memory. */
  Optional<ChangesDisk> disk() throws IOException {
    return Optional.empty();
  }

  Changes changes() throws IOException {
    Changes made = new Changes(directory(), disk());
    made.prepare();
    return made;
  }

  @AfterEach
  void end() throws Exception {
    changes.endAllBut(Set.of());
    image.close();
    assertEquals(List.of(), left());
  }

  private List<Path> left() throws IOException {
    try (Stream<Path> files = Files.list(directory())) {
      return files.toList();
    }
  }

  Path root(String job, long bytes) throws Exception {
    return changes.root(job, image, UID, GID, bytes);
  }

  @Test
  void allOfAJobSeesWhatItHasChangedAndNobodyElseDoes() throws Exception {
    Path root = root("1", MIB);
    Files.writeString(root.resolve("file"), "changed");
    Files.createDirectory(root.resolve("new"));
    assertEquals(root, root("1", MIB));
    assertEquals("changed", Files.readString(root("1", MIB).resolve("file")));
    assertEquals("of the image", Files.readString(root("2", MIB).resolve("file")));
    assertEquals("of the image", Files.readString(image.directory().resolve("file")));
    assertFalse(Files.exists(image.directory().resolve("new")));
  }

  @Test
  void theRootDirectoryIsTheUsers() throws Exception {
    Map<String, Object> owner = Files.readAttributes(root("1", MIB), "unix:uid,gid");
    assertEquals(Map.of("uid", (int) UID, "gid", (int) GID), owner);
  }

  @Test
  void changesAreAsLargeAsWasAskedFor() throws Exception {
    Path root = root("1", MIB);
    Files.write(root.resolve("half"), new byte[(int) MIB / 2]);
    IOException full =
        assertThrows(
            IOException.class, () -> Files.write(root.resolve("whole"), new byte[(int) MIB]));
    assertTrue(full.getMessage().contains("No space left"), full.getMessage());
  }

  @Test
  void aRestartFindsThemAndForgetsThoseOfOtherJobs() throws Exception {
    Path root = root("1", MIB);
    Files.writeString(root.resolve("file"), "changed");
    Path other = root("2", MIB);
    changes = changes();
    changes.endAllBut(Set.of("1"));
    assertFalse(Files.exists(other));
    assertEquals(root, root("1", MIB));
    assertEquals("changed", Files.readString(root.resolve("file")));
  }

  @Test
  void aJobThatIsRunAgainBeginsAnew() throws Exception {
    Files.writeString(root("1", MIB).resolve("file"), "changed");
    changes.end("1");
    assertEquals("of the image", Files.readString(root("1", MIB).resolve("file")));
  }

  @Test
  void whatAKilledLauncherLeftUnfinishedIsMadeAnew() throws Exception {
    Path layer = root("1", MIB).resolveSibling("layer");
    changes.end("1");
    Files.createDirectories(layer);
    Libc.mount("layercake", layer, "tmpfs", "mode=0700");
    changes = changes();
    Files.writeString(root("1", MIB).resolve("file"), "changed");
    assertTrue(Files.exists(layer.resolve("upper/file")));
  }

  @Test
  void theyOutliveTheImagesServer() throws Exception {
    Path root = root("1", MIB);
    Files.writeString(root.resolve("new"), "new");
    node.processes().forEach(ProcessHandle::destroyForcibly);
    assertTrue(image.endsWithin(10_000));
    Files.delete(
        image.directory().resolve("file")); // the mount that would hide it is not made here
    image.close();
    mountImage();
    Path again = root("1", MIB);
    assertNotEquals(root, again);
    assertEquals("new", Files.readString(again.resolve("new")));
  }
}
