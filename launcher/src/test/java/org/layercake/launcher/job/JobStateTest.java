package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.image.ImageKey;
import org.layercake.launcher.node.ProcessId;
import org.layercake.store.Digest;
import org.layercake.store.ImageName;
import org.layercake.store.StoreException;

class JobStateTest {
  @TempDir Path directory;

  @Test
  void containersOfOneImageHaveItsEnvironmentInTheFileOnce() throws Exception {
    JobState state = state(32);
    Path file = directory.resolve("state");
    state.write(file, directory.resolve("staged"));
    assertEquals(state, JobState.read(file));
    assertTrue(Files.size(file) < 100_000, Files.size(file) + " bytes");
  }

  @Test
  void aStateOfAnEarlierLauncherIsOfAJobThatIsPastItsProlog() throws Exception {
    Path file = Files.writeString(directory.resolve("state"), "job=42\nuid=1001\nsince=7\n");
    assertEquals(
        new JobState(new JobKey(42, 1001), "", null, "", 0, List.of()), JobState.read(file));
  }

  @Test
  void aStateThatCannotBeWrittenLeavesNothing() throws Exception {
    Path staged = directory.resolve("staged");
    Path file = Files.createDirectory(directory.resolve("state")); // no file can take its place
    assertThrows(IOException.class, () -> state(1).write(file, staged));
    assertFalse(Files.exists(staged));
  }

  /** Each container's environment is a list of its own, of 48 KiB, as after a restart. */
  private static JobState state(int containers) throws StoreException {
    ImageKey image = new ImageKey("site", Digest.of(new byte[1]));
    ImageKey other = new ImageKey("u.bob", Digest.of(new byte[2]));
    Map<ImageName, ImageKey> data =
        Map.of(ImageName.parse("site/one:1"), image, ImageName.parse("bob/two"), other);
    List<JobState.Running> running = new ArrayList<>();
    for (int i = 0; i < containers; i++) {
      List<String> environment = List.of("LONG=" + "x".repeat(48 << 10));
      running.add(new JobState.Running("spec " + i, image, environment, data, new ProcessId(i, 1)));
    }
    return new JobState(new JobKey(42, NodeRig.NOBODY), "", null, "42.65534.9", 7, running);
  }
}
