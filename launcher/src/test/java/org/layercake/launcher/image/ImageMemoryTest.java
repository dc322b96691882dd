package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class ImageMemoryTest {
  private static final long BYTES = 64 << 20;
  private static final String NAME = "layercake-test-" + ProcessHandle.current().pid();

  /** What there is on the machine of the tests: cgroup v1, or nothing that we may use. */
  @Test
  void allImageServersTogetherAreBoundedWhereThereCanBeACgroup() throws Exception {
    List<String> options = ImageMemory.options(BYTES, NAME);
    Path probe = Path.of("/sys/fs/cgroup/memory");
    if (!Files.isWritable(probe.resolve("cgroup.procs"))) {
      assertEquals(List.of(), options);
      return;
    }
    assertEquals("--cgroup", options.get(0));
    Path group = Path.of(options.get(1)).getParent();
    assertTrue(group.startsWith(probe) && group.endsWith(NAME), group.toString());
    assertEquals(
        BYTES, Long.parseLong(Files.readString(group.resolve("memory.limit_in_bytes")).strip()));
    assertEquals(options, ImageMemory.options(2 * BYTES, NAME), "the next launcher finds it");
    Files.delete(group);
  }
}
