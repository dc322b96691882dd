package org.layercake.launcher;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.job.JobKey;
import org.layercake.launcher.job.Jobs;
import org.layercake.launcher.job.NodeRig;

@Timeout(120)
class StatusTest {
  private static final Pattern SAMPLE =
      Pattern.compile(
          "(layercake_[a-z_]+?)(_bucket|_sum|_count)?(\\{(\\w+)=\"[^\"]+\"})? [0-9.E+]+");

  @TempDir Path directory;
  private ServerRig rig;
  private Jobs jobs;

  @BeforeEach
  void startContainer() throws Exception {
    rig = new ServerRig(directory);
    jobs = rig.launcher().serve().jobs();
    rig.node.externStep(42, true);
    JobKey job = new JobKey(42, NodeRig.NOBODY);
    assertTrue(jobs.enter(job, NodeRig.SPEC, jobs.arrival()).start().get().id().pid() > 0);
  }

  @AfterEach
  void close() throws Exception {
    rig.close();
  }

  @Test
  void rootSeesContainersImagesAndServers() throws Exception {
    String text = StatusCommand.ask(rig.socket, StatusReport.Form.TEXT);
    assertTrue(text.contains("starts: 1 ready\njobs: 1\n  42 uid 65534 site/small:latest "), text);
    assertTrue(text.contains("\ncache: 1 images, 0.0 of 1073.7 MB\n  site/"), text);
    assertTrue(text.contains("\non their way: 0 images\nimage servers: 1\n  site/"), text);
    String json = StatusCommand.ask(rig.socket, StatusReport.Form.JSON);
    assertTrue(json.contains("\"image\" : \"site/small:latest\""), json);
    assertTrue(json.contains("\"fetched\" : 8,"), json); // "not much"
    assertTrue(json.contains("\"users\" : [ 65534 ]"), json);
  }

  @Test
  void anotherUserSeesNothing() throws Exception {
    Process client =
        rig.python(
            NodeRig.NOBODY,
            "s.connect(path)",
            "s.sendall(bytes.fromhex('00000003 01 0001 00000002 15 00'))",
            "print(s.recv(9)[4:6].hex())");
    assertEquals("4f4d", ServerRig.output(client)); // ABORT, 77
  }

  @Test
  void metricsAreWellFormedAndNameNobody() throws Exception {
    String metrics = StatusCommand.ask(rig.socket, StatusReport.Form.METRICS);
    Set<String> declared = new HashSet<>();
    for (String line : metrics.lines().toList()) {
      if (line.startsWith("# TYPE ")) {
        assertTrue(declared.add(line.split(" ", -1)[2]), line);
      } else if (!line.startsWith("# HELP ")) {
        Matcher sample = SAMPLE.matcher(line);
        assertTrue(sample.matches(), line);
        assertTrue(declared.contains(sample.group(1)), line);
        String label = String.valueOf(sample.group(4));
        assertTrue(List.of("null", "le", "code", "state", "origin", "event").contains(label), line);
      }
    }
    assertTrue(metrics.contains("\nlayercake_container_start_seconds_count 1\n"), metrics);
    assertTrue(metrics.contains("\nlayercake_image_bytes_total{origin=\"store\"} 8\n"), metrics);
    assertTrue(metrics.contains("\nlayercake_containers{state=\"ready\"} 1\n"), metrics);
  }

  @Test
  void theFileOfMetricsIsReplacedAsAWhole() throws IOException {
    Path file = directory.resolve("layercake.prom");
    MetricsFile metrics = new MetricsFile(file, () -> Metrics.of(jobs.status()));
    metrics.write();
    String first = Files.readString(file);
    assertTrue(first.endsWith("\n") && first.contains("layercake_jobs 1\n"), first);
    assertEquals("rw-r--r--", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    Object before = Files.getAttribute(file, "unix:ino");
    Path other = Files.writeString(directory.resolve("other"), "kept");
    Files.createSymbolicLink(directory.resolve(".layercake.prom.new"), other);
    metrics.write();
    assertTrue(!before.equals(Files.getAttribute(file, "unix:ino")));
    assertEquals("kept", Files.readString(other));
  }
}
