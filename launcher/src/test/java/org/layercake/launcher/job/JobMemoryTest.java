package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JobMemoryTest {
  private static final long TOTAL = 1000L * 1024;

  @TempDir Path directory;
  private JobMemory memory;

  @BeforeEach
  void node() throws IOException {
    write("proc/meminfo", "MemTotal:           1000 kB\nMemFree:             900 kB\n");
    memory = new JobMemory(directory.resolve("proc"), directory.resolve("cgroups"));
  }

  private void write(String file, String text) throws IOException {
    Path path = directory.resolve(file);
    Files.createDirectories(path.getParent());
    Files.writeString(path, text);
  }

  @Test
  void withoutACgroupThatLimitsItItIsTheNodes() throws Exception {
    write("proc/7/cgroup", "3:freezer:/slurm/job_1\n0::/\n");
    write("cgroups/memory.max", "max\n");
    assertEquals(TOTAL, memory.limit(7));
  }

  @Test
  void theLeastOfTheCgroupsAboveCountsWithVersion2() throws Exception {
    write("proc/7/cgroup", "0::/slurm/job_1/step_extern\n");
    write("cgroups/slurm/memory.max", "900000\n");
    write("cgroups/slurm/job_1/memory.max", "300000\n");
    write("cgroups/slurm/job_1/step_extern/memory.max", "max\n");
    assertEquals(300_000, memory.limit(7));
  }

  @Test
  void theLeastOfTheCgroupsAboveCountsWithVersion1() throws Exception {
    write("proc/7/cgroup", "5:cpu,memory:/slurm/job_1\n4:cpuset:/\n");
    write("cgroups/memory/slurm/memory.limit_in_bytes", "200000\n");
    write("cgroups/memory/slurm/job_1/memory.limit_in_bytes", "9223372036854771712\n");
    assertEquals(200_000, memory.limit(7));
  }

  @Test
  void ofAProcessThatHasEndedItIsTheNodes() throws Exception {
    assertEquals(TOTAL, memory.limit(7));
  }
}
