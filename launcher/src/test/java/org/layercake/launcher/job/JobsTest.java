package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Await;
import org.layercake.store.ExitCode;

@Timeout(120)
class JobsTest {
  private static final JobKey JOB = new JobKey(42, NodeRig.NOBODY);

  @TempDir Path directory;
  private NodeRig node;

  @BeforeEach
  void makeNode() throws Exception {
    node = new NodeRig(directory, 2, 3);
  }

  @AfterEach
  void closeNode() throws Exception {
    node.close();
  }

  @Test
  void aRegisteredJobsContainerIsThereForItsSteps() throws Exception {
    Jobs jobs = node.launcher().jobs;
    jobs.register(JOB, NodeRig.SPEC, jobs.arrival());
    node.externStep(42, true);
    Container container = jobs.enter(JOB, "", jobs.arrival());
    assertTrue(container.start().get(30, TimeUnit.SECONDS).id().isRunning());
    assertTrue(container.environment().contains(NodeRig.VARIABLE));
    assertSame(container, jobs.enter(JOB, NodeRig.SPEC, jobs.arrival()));
    assertTrue(Files.exists(node.files.note(JOB)));
  }

  @Test
  void aJobWithoutAContainerYetIsReleasedWhenItsExternStepHasComeAndGone() throws Exception {
    node.script(node.library.resolve("holder"), "exit 77");
    Jobs jobs = node.launcher().jobs;
    jobs.register(JOB, NodeRig.SPEC, jobs.arrival());
    jobs.register(new JobKey(43, NodeRig.NOBODY), NodeRig.SPEC, jobs.arrival());
    assertTrue(Files.exists(node.state(JOB)), "it may still be in its prolog");
    node.externStep(42, true);
    jobs.register(new JobKey(44, NodeRig.NOBODY), NodeRig.SPEC, jobs.arrival());
    assertTrue(Files.exists(node.state(JOB)));
    node.externStep(42, false);
    jobs.register(new JobKey(45, NodeRig.NOBODY), NodeRig.SPEC, jobs.arrival());
    assertFalse(Files.exists(node.state(JOB)));
    assertTrue(Files.exists(node.state(new JobKey(43, NodeRig.NOBODY))));
  }

  @Test
  void aJobWhoseStepFoundNoContainerIsReleasedByALaterLauncherWhenItsExternStepHasGone()
      throws Exception {
    node.script(node.library.resolve("holder"), "exit 77");
    NodeRig.Launcher launcher = node.launcher();
    launcher.jobs.register(JOB, NodeRig.SPEC, launcher.jobs.arrival());
    node.externStep(42, true);
    Container container = launcher.jobs.enter(JOB, "", launcher.jobs.arrival());
    assertThrows(Exception.class, () -> container.start().get(30, TimeUnit.SECONDS));
    node.externStep(42, false);
    launcher.stop();
    Jobs unused = node.launcher().jobs;
    assertEquals(0, node.states());
    assertFalse(Files.exists(node.note(JOB)));
  }

  @Test
  void whatCameBeforeTheReleaseDoesNotBringTheJobBack() throws Exception {
    Jobs jobs = node.launcher().jobs;
    node.externStep(42, true);
    long early = jobs.arrival();
    jobs.release(42, jobs.arrival());
    jobs.register(JOB, NodeRig.SPEC, early);
    assertThrows(Abort.class, () -> jobs.enter(JOB, NodeRig.SPEC, early));
    jobs.start(JOB, early);
    assertFalse(Files.exists(node.files.note(JOB)));
    assertEquals(0, node.states());
  }

  @Test
  void aRequeuedJobIsTakenAlthoughItWasReleasedBefore() throws Exception {
    Jobs jobs = node.launcher().jobs;
    jobs.register(JOB, NodeRig.SPEC, jobs.arrival());
    jobs.release(42, jobs.arrival());
    jobs.register(JOB, NodeRig.SPEC, jobs.arrival());
    node.externStep(42, true);
    assertTrue(jobs.enter(JOB, "", jobs.arrival()).start().get().id().isRunning());
  }

  @Test
  void aReleaseThatIsWorkedOffLateLeavesTheRequeuedJobAlone() throws Exception {
    Jobs jobs = node.launcher().jobs;
    node.externStep(42, true);
    jobs.register(JOB, NodeRig.SPEC, jobs.arrival());
    Holder first = jobs.enter(JOB, "", jobs.arrival()).start().get();
    long release = jobs.arrival();
    jobs.register(JOB, "image=site/small;root=1", jobs.arrival());
    jobs.release(42, release);
    Await.await("the first run's holder ends", () -> !first.id().isRunning());
    Container second = jobs.enter(JOB, "", jobs.arrival());
    assertTrue(second.spec().root());
    assertTrue(second.start().get().id().isRunning());
  }

  @Test
  void anOlderAnnouncementDoesNotReplaceANewerOne() throws Exception {
    Jobs jobs = node.launcher().jobs;
    node.externStep(42, true);
    long early = jobs.arrival();
    jobs.register(JOB, "image=site/small;root=1", jobs.arrival());
    jobs.register(JOB, NodeRig.SPEC, early);
    assertTrue(jobs.enter(JOB, "", jobs.arrival()).spec().root());
  }

  @Test
  void aDirectoryThatASiteMountShowsMakesNoOtherContainer() throws Exception {
    Jobs jobs = node.launcher().jobs;
    node.externStep(42, true);
    Container container = jobs.enter(JOB, NodeRig.SPEC, jobs.arrival());
    assertSame(container, jobs.enter(JOB, NodeRig.SPEC + ";cwd=/site/w", jobs.arrival()));
    assertSame(container, jobs.enter(JOB, NodeRig.SPEC + ";workdir=/x", jobs.arrival()));
    assertNotSame(container, jobs.enter(JOB, NodeRig.SPEC + ";cwd=/sites", jobs.arrival()));
  }

  @Test
  void aJobRunsOneImageThoughItsTagMoves() throws Exception {
    Jobs jobs = node.launcher().jobs;
    node.externStep(42, true);
    String first = digest(jobs.enter(JOB, NodeRig.SPEC, jobs.arrival()));
    node.push("something else");
    assertEquals(first, digest(jobs.enter(JOB, NodeRig.spec(1), jobs.arrival())));
    jobs.release(42, jobs.arrival());
    assertEquals(first, digest(node.launcher().jobs.enter(JOB, "image=site/small;root=1", 1)));
    node.externStep(43, true);
    JobKey next = new JobKey(43, NodeRig.NOBODY);
    assertFalse(first.equals(digest(jobs.enter(next, NodeRig.SPEC, jobs.arrival()))));
  }

  private static String digest(Container container) throws Exception {
    container.start().get(30, TimeUnit.SECONDS);
    return container.running().image().digest().toString();
  }

  @Test
  void aJobAndAUserHaveSoManyContainersAndNoMore() throws Exception {
    Jobs jobs = node.launcher().jobs;
    JobKey other = new JobKey(43, NodeRig.NOBODY);
    node.externStep(42, true);
    node.externStep(43, true);
    jobs.enter(JOB, NodeRig.spec(1), jobs.arrival()).start().get();
    jobs.enter(JOB, NodeRig.spec(2), jobs.arrival()).start().get();
    Abort ofJob = assertThrows(Abort.class, () -> jobs.enter(JOB, NodeRig.spec(3), jobs.arrival()));
    assertEquals(ExitCode.UNAVAILABLE, ofJob.exitCode());
    assertTrue(ofJob.getMessage().contains("job 42 has 2"), ofJob.getMessage());
    jobs.enter(JOB, NodeRig.spec(1), jobs.arrival()).start().get();
    jobs.enter(other, NodeRig.spec(1), jobs.arrival()).start().get();
    Abort ofUser =
        assertThrows(Abort.class, () -> jobs.enter(other, NodeRig.spec(2), jobs.arrival()));
    assertTrue(ofUser.getMessage().contains("your jobs have 3"), ofUser.getMessage());
    jobs.release(42, jobs.arrival());
    jobs.enter(other, NodeRig.spec(2), jobs.arrival()).start().get();
  }

  @Test
  void aReleaseRemovesTheNoteOfAJobThatNoLauncherKnew() throws Exception {
    Jobs jobs = node.launcher().jobs;
    Files.writeString(node.files.note(JOB), NodeRig.SPEC);
    jobs.release(42, jobs.arrival());
    assertFalse(Files.exists(node.files.note(JOB)));
  }

  @Test
  void aReleaseWhoseClientGaveUpLeavesARequeuedJobsNote() throws Exception {
    NodeRig.Launcher first = node.launcher();
    node.externStep(42, true);
    first.jobs.register(JOB, NodeRig.SPEC, first.jobs.arrival());
    Holder holder = first.jobs.enter(JOB, "", first.jobs.arrival()).start().get();
    first.stop();
    node.externStep(42, false);
    leaveNote("image=site/small;root=1");
    Jobs jobs = node.launcher().jobs;
    jobs.releaseLate(42, jobs.arrival());
    assertEquals("image=site/small;root=1", Files.readString(node.files.note(JOB)));
    Await.await("the first run's holder ends", () -> !holder.id().isRunning());
    jobs.releaseLate(42, jobs.arrival());
    node.externStep(42, true);
    assertTrue(jobs.enter(JOB, "", jobs.arrival()).spec().root());
  }

  @Test
  void aLateReleaseLeavesANoteThatThisLauncherDidNotSee() throws Exception {
    Jobs jobs = node.launcher().jobs;
    jobs.register(JOB, NodeRig.SPEC, jobs.arrival());
    node.externStep(42, true);
    Holder holder = jobs.enter(JOB, "", jobs.arrival()).start().get();
    long release = jobs.arrival();
    jobs.releaseLate(42, release);
    assertTrue(holder.id().isRunning());
    node.externStep(42, false);
    leaveNote("image=site/small;root=1");
    jobs.releaseLate(42, release);
    Await.await("the first run's holder ends", () -> !holder.id().isRunning());
    assertTrue(Files.exists(node.files.note(JOB)));
    assertTrue(jobs.enter(JOB, "", jobs.arrival()).spec().root());
  }

  @Test
  void aLateReleaseEndsAJobThatIsNotHere() throws Exception {
    Jobs jobs = node.launcher().jobs;
    leaveNote(NodeRig.SPEC);
    jobs.register(JOB, NodeRig.SPEC, jobs.arrival());
    node.externStep(42, true);
    Holder holder = jobs.enter(JOB, "", jobs.arrival()).start().get();
    node.externStep(42, false);
    jobs.releaseLate(42, jobs.arrival());
    Await.await("the holder ends", () -> !holder.id().isRunning());
    assertFalse(Files.exists(node.files.note(JOB)));
    assertEquals(0, node.states());
  }

  @Test
  void aNoteThatThePrologCouldNotLeaveIsWritten() throws Exception {
    Jobs jobs = node.launcher().jobs;
    Files.createFile(node.files.note(JOB));
    jobs.register(JOB, NodeRig.SPEC, jobs.arrival());
    assertEquals(NodeRig.SPEC, Files.readString(node.files.note(JOB)));
    assertEquals(
        "r--------",
        PosixFilePermissions.toString(Files.getPosixFilePermissions(node.files.note(JOB))));
  }

  /** As a job's prolog does it, later than all that was saved. */
  private void leaveNote(String spec) throws Exception {
    Path staged = Files.writeString(node.files.notesDirectory().resolve(".42"), spec);
    Path state = node.files.state(JOB);
    if (Files.exists(state)) {
      Await.await("the clock goes on", () -> touched(staged).compareTo(touched(state)) > 0);
    }
    Files.move(staged, node.files.note(JOB), StandardCopyOption.REPLACE_EXISTING);
  }

  /** The time of a file; that of the first is set anew, by the kernel's clock. */
  private static FileTime touched(Path file) {
    try {
      if (file.getFileName().toString().startsWith(".")) {
        Files.writeString(file, Files.readString(file));
      }
      return Files.getLastModifiedTime(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
