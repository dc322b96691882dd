package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.layercake.launcher.node.Abort;
import org.layercake.store.ExitCode;

/** The site's rules hold for whatever comes to the launcher. */
@Timeout(120)
class AdmissionTest extends NodeTestCase {
  private Jobs jobs;

  @BeforeEach
  void start() throws Exception {
    node.script(
        node.directory.resolve("scontrol"),
        """
        case $* in
          *config) echo 'ClusterName = rig' ;;
          *) echo 'JobId=42 Account=phys Partition=gpu Restarts=0 SubmitTime=2026-01-01T00:00:00' ;;
        esac""");
    node.script(
        node.library.resolve("holder"),
        "echo \"$@\" >'%s'; echo ready; read kept && exec sleep 1000"
            .formatted(node.directory.resolve("arguments")));
    jobs = node.launcher().jobs;
    node.here(JOB);
  }

  private void rules(String text) throws Exception {
    Files.writeString(node.directory.resolve("policy"), text);
  }

  private void enter(String spec) throws Exception {
    jobs.enter(JOB, spec, jobs.arrival()).start().get(30, TimeUnit.SECONDS);
  }

  private Abort refused(String spec) {
    ExecutionException failure = assertThrows(ExecutionException.class, () -> enter(spec));
    return assertInstanceOf(Abort.class, failure.getCause());
  }

  @Test
  void aContainerThatARuleRefusesDoesNotStartAndTheLineSaysWhich() throws Exception {
    rules("allow partition=debug\ndeny account=phys root=yes -- ask for partition debug\n");
    Abort abort = refused(NodeRig.SPEC + ";root=1");
    assertEquals(ExitCode.PERMISSION, abort.exitCode());
    assertEquals(
        "cannot start site/small:latest: the site's rules do not allow it: ask for partition debug"
            + " (line 2 of "
            + node.directory.resolve("policy")
            + ": deny account=phys root=yes)",
        abort.getMessage());
    assertFalse(Files.exists(node.directory.resolve("arguments")));
    enter(NodeRig.SPEC);
  }

  @Test
  void changedRulesHoldForTheNextContainer() throws Exception {
    rules("deny image=site/small\n");
    refused(NodeRig.SPEC);
    rules("deny image=site/large\n");
    enter(NodeRig.SPEC);
  }

  @Test
  void anImageByItsDigestHasNoNameThatItCouldHideBehind() throws Exception {
    rules("allow image=site/good\ndeny\n");
    refused("image=site/good@" + node.digest());
    rules("deny image=site/small\n");
    refused("image=site/good@" + node.digest());
    rules("allow image=site/*\ndeny\n");
    enter("image=site/good@" + node.digest());
  }

  @Test
  void brokenRulesLetNothingStart() throws Exception {
    rules("alow\n");
    Abort abort = refused(NodeRig.SPEC);
    assertEquals(ExitCode.MISCONFIGURED, abort.exitCode());
    assertTrue(abort.getMessage().contains("line 1"), abort.getMessage());
  }

  @Test
  void aSlurmThatDoesNotAnswerLetsNothingStartWhereARuleAsksIt() throws Exception {
    node.script(node.directory.resolve("scontrol"), "exit 1");
    rules("deny partition=debug\n");
    assertEquals(ExitCode.TEMPORARY, refused("image=site/small@" + node.digest()).exitCode());
  }

  @Test
  void profilesAreForTheJobsAndImagesThatTheyName() throws Exception {
    Path profiles = Files.createDirectory(node.directory.resolve("profiles.d"));
    Files.writeString(profiles.resolve("gpu"), "when = gres:gpu\nmounts = /etc:/gpu\n");
    Files.writeString(profiles.resolve("part"), "when = partition:gpu\nmounts = /etc:/part\n");
    Files.writeString(profiles.resolve("more"), "when = none\nmounts = /usr:/more?\nusers = x\n");
    enter(NodeRig.SPEC + ";profile=+more");
    String words = Files.readString(node.directory.resolve("arguments"));
    assertTrue(words.contains(" --site-mount /usr:/more:ro --needed-mount /etc:/part:ro "), words);
    assertTrue(words.contains(" --user x"), words);
    assertFalse(words.contains("/gpu"), words);
    assertEquals(ExitCode.MISSING, refused(NodeRig.SPEC + ";profile=+none").exitCode());
  }

  @Test
  void moreVariablesThanAClientCanBeToldAreRefused() throws Exception {
    Path profiles = Files.createDirectory(node.directory.resolve("profiles.d"));
    String line = "when = always\nenv = set %s=" + "x".repeat(40_000) + "\n";
    Files.writeString(profiles.resolve("a"), line.formatted("A"));
    enter(NodeRig.SPEC);
    Files.writeString(profiles.resolve("b"), line.formatted("B"));
    Abort abort = refused(NodeRig.SPEC + ";root=1");
    assertEquals(ExitCode.MISCONFIGURED, abort.exitCode());
    assertTrue(abort.getMessage().contains("at most 65000"), abort.getMessage());
  }

  @Test
  void theHolderIsToldWhatHoldsForMounts() throws Exception {
    rules("deny mount=/data,/a:b -- no\nallow partition=debug mount=/srv\nallow mount!=/srv\n");
    enter(NodeRig.SPEC);
    List<String> words =
        List.of(Files.readString(node.directory.resolve("arguments")).strip().split(" "));
    List<String> rules = words.subList(words.indexOf("--mount-rule"), words.size());
    String refusal = "the%20site's%20rules%20do%20not%20allow%20it";
    Path file = node.directory.resolve("policy");
    assertEquals(
        List.of(
            "--mount-rule",
            "deny:%s%%3A%%20no%%20(line%%201%%20of%%20%s%%3A%%20deny%%20mount=/data,/a%%3Ab):/data:/a%%3Ab"
                .formatted(refusal, file),
            "--mount-rule",
            "allow-others:%s%%20(line%%203%%20of%%20%s%%3A%%20allow%%20mount!=/srv):/srv"
                .formatted(refusal, file)),
        rules);
  }

  @Test
  void anImageThatIsMountedIsAskedAboutToo() throws Exception {
    node.push("site/data", "much");
    rules("deny image=site/data:* -- ask the library\ndeny mount=/secret\n");
    Abort abort = refused(NodeRig.DATA_SPEC);
    assertEquals(ExitCode.PERMISSION, abort.exitCode());
    String line =
        "cannot mount site/data:latest: the site's rules do not allow it: ask the library";
    assertTrue(abort.getMessage().startsWith(line), abort.getMessage());
    rules("deny image=site/other:*\ndeny mount=/secret\n");
    enter(NodeRig.DATA_SPEC);
    String given = Files.readString(node.directory.resolve("arguments"));
    assertTrue(given.contains(" --image-mount "), given);
    assertTrue(given.contains(" --mount-rule deny:"), given);
  }
}
