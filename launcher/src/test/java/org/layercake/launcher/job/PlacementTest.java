package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Await;
import org.layercake.launcher.node.UnixSocket;
import org.layercake.store.ExitCode;

/** Where tasks and sessions are whose job names no image. */
@Timeout(120)
class PlacementTest extends NodeTestCase {
  private static final long STEP = 0;
  private static final long BATCH = 0xfffffffbL;
  private static final String NO_IMAGE = "image=";
  private static final String DEFAULT = "default image=site/small partition=gpu";

  private Path asked;
  private NodeRig.Launcher launcher;

  @BeforeEach
  void start() throws Exception {
    asked = node.directory.resolve("asked");
    node.script(
        node.directory.resolve("scontrol"),
        """
        case $* in
          *config) echo 'ClusterName = rig' ;;
          *) echo asked >>'%s'
             echo 'JobId=42 Account=phys Partition=gpu Restarts=1 SubmitTime=2026-01-01T00:00:00' ;;
        esac"""
            .formatted(asked));
    launcher = node.launcher();
    node.here(JOB);
  }

  private void rules(String text) throws Exception {
    Files.writeString(node.directory.resolve("policy"), text);
  }

  private void announce(String spec) throws Exception {
    launcher.jobs.register(JOB, spec, launcher.jobs.arrival());
  }

  /** The container's spec; null on the host. */
  private String place(long step, String spec) throws Exception {
    Jobs jobs = launcher.jobs;
    Container container =
        jobs.ofTask(JOB, step, spec, jobs.arrival()).get(30, TimeUnit.SECONDS).container();
    return container == null ? null : container.spec().text();
  }

  private String session() throws Exception {
    UnixSocket.Peer peer = new UnixSocket.Peer(0, NodeRig.NOBODY);
    Jobs jobs = launcher.jobs;
    Container container =
        jobs.ofSession(peer, 42, jobs.arrival()).get(30, TimeUnit.SECONDS).container();
    return container == null ? null : container.spec().text();
  }

  /** What can fail. */
  private interface Try {
    String act() throws Exception;
  }

  private static Abort refused(Try attempt) {
    Exception failure = assertThrows(Exception.class, attempt::act);
    return assertInstanceOf(
        Abort.class, failure instanceof ExecutionException ? failure.getCause() : failure);
  }

  @Test
  void aJobThatAsksForNothingIsInTheDefaultImage() throws Exception {
    rules(DEFAULT);
    announce(NO_IMAGE);
    assertEquals("image=site/small:latest;cwd=/w", place(STEP, "image=;cwd=/w"));
    assertEquals("image=site/small:latest", place(STEP, NO_IMAGE));
    assertEquals("image=site/small:latest", session());
    assertNull(place(BATCH, NO_IMAGE));
    assertNull(place(STEP, "none"));
    String own = "image=;mount=/tmp:/m:ro";
    assertEquals("image=site/small:latest;mount=/tmp:/m:ro", place(STEP, own));
    assertEquals(NodeRig.SPEC, place(STEP, NodeRig.SPEC));
  }

  @Test
  void theDefaultImagesContainerStartsBeforeAnyTaskAsks() throws Exception {
    rules(DEFAULT);
    announce(NO_IMAGE);
    launcher.jobs.start(JOB, launcher.jobs.arrival());
    Await.await("it is in the job's state", () -> state().contains("container.0.spec"));
  }

  private String state() {
    try {
      return Files.readString(node.state(JOB));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void batchScriptsAreWhereTheDefaultOrTheirUserSays() throws Exception {
    rules(DEFAULT + " batch=inside");
    announce(NO_IMAGE);
    assertEquals("image=site/small:latest", place(BATCH, NO_IMAGE));
    launcher.jobs.release(42, launcher.jobs.arrival());
    rules(DEFAULT);
    announce(NO_IMAGE);
    assertNull(place(BATCH, NO_IMAGE));
    assertEquals("image=site/small:latest", place(BATCH, "image=;batch=1"));
  }

  @Test
  void aJobKeepsItsImageWhateverBecomesOfTheRulesAndTheLauncher() throws Exception {
    rules(DEFAULT);
    announce(NO_IMAGE);
    assertEquals("image=site/small:latest", place(STEP, NO_IMAGE));
    rules("default image=site/other");
    assertEquals("image=site/small:latest", place(STEP, NO_IMAGE));
    launcher.stop();
    launcher = node.launcher();
    assertEquals("image=site/small:latest", place(STEP, NO_IMAGE));
    assertTrue(Files.exists(node.note(JOB)));
  }

  @Test
  void aJobWithoutDefaultIsOnTheHostAndSlurmIsAskedOnce() throws Exception {
    rules("default image=site/small partition=bio\ndeny host=ssh partition=bio\n");
    announce(NO_IMAGE);
    for (int i = 0; i < 3; i++) {
      assertNull(place(STEP, NO_IMAGE));
      assertNull(session());
    }
    assertEquals("asked\n", Files.readString(asked));
    Abort abort = refused(() -> place(STEP, "image=;root=1"));
    assertEquals(ExitCode.REQUEST, abort.exitCode());
    assertTrue(abort.getMessage().contains("none by default"), abort.getMessage());
  }

  @Test
  void aRuleKeepsTasksOffTheHostWhateverTheySay() throws Exception {
    rules("deny host=* partition=gpu -- name an image\n");
    announce(NO_IMAGE);
    Abort abort = refused(() -> place(STEP, "none"));
    assertEquals(ExitCode.PERMISSION, abort.exitCode());
    assertEquals(
        "cannot run this step on the host: the site's rules do not allow it: name an image (line 1"
            + " of "
            + node.directory.resolve("policy")
            + ": deny host=* partition=gpu)",
        abort.getMessage());
    assertEquals(ExitCode.PERMISSION, refused(() -> place(STEP, NO_IMAGE)).exitCode());
    assertEquals(ExitCode.PERMISSION, refused(() -> place(BATCH, NO_IMAGE)).exitCode());
    assertEquals(ExitCode.PERMISSION, refused(this::session).exitCode());
    assertEquals(NodeRig.SPEC, place(STEP, NodeRig.SPEC));
    rules("allow host=batch\ndeny host=*\n");
    assertNull(place(BATCH, "none"));
    assertEquals(ExitCode.PERMISSION, refused(() -> place(STEP, "none")).exitCode());
  }

  @Test
  void aDefaultImageThatCannotBeHadLeavesNothingOnTheHost() throws Exception {
    rules("default image=site/missing\n");
    announce(NO_IMAGE);
    Container container =
        launcher
            .jobs
            .ofTask(JOB, STEP, NO_IMAGE, launcher.jobs.arrival())
            .get(30, TimeUnit.SECONDS)
            .container();
    ExecutionException failure =
        assertThrows(ExecutionException.class, () -> container.start().get(30, TimeUnit.SECONDS));
    Abort abort = assertInstanceOf(Abort.class, failure.getCause());
    assertEquals(ExitCode.MISSING, abort.exitCode());
  }

  @Test
  void rulesThatAreBrokenAndASlurmThatIsSilentLeaveNothingOnTheHost() throws Exception {
    rules("default image=site/small;\n");
    announce(NO_IMAGE);
    assertEquals(ExitCode.MISCONFIGURED, refused(() -> place(STEP, NO_IMAGE)).exitCode());
    assertEquals(ExitCode.MISCONFIGURED, refused(() -> place(STEP, "none")).exitCode());
    node.script(node.directory.resolve("scontrol"), "exit 1");
    rules(DEFAULT);
    assertEquals(ExitCode.TEMPORARY, refused(() -> place(STEP, NO_IMAGE)).exitCode());
    mendSlurm();
    assertEquals("image=site/small:latest", place(STEP, NO_IMAGE));
  }

  private void mendSlurm() throws Exception {
    node.script(
        node.directory.resolve("scontrol"),
        "case $* in *config) echo 'ClusterName = rig' ;; *) echo 'JobId=42 Partition=gpu' ;; esac");
  }

  @Test
  void whoHasNoJobHereLearnsNothing() throws Exception {
    rules("deny host=*\n");
    JobKey other = new JobKey(43, NodeRig.NOBODY);
    Jobs jobs = launcher.jobs;
    Abort abort = assertThrows(Abort.class, () -> jobs.ofTask(other, STEP, "none", jobs.arrival()));
    assertEquals(ExitCode.PERMISSION, abort.exitCode());
    assertTrue(abort.getMessage().contains("is not on this node"), abort.getMessage());
  }
}
