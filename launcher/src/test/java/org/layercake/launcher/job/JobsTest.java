package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Await;
import org.layercake.store.ExitCode;
import org.slf4j.LoggerFactory;

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
  void whatCameBeforeTheReleaseDoesNotBringTheJobBack() throws Exception {
    Jobs jobs = node.launcher().jobs;
    node.externStep(42, true);
    long early = jobs.arrival();
    jobs.release(42, jobs.arrival());
    jobs.register(JOB, NodeRig.SPEC, early);
    assertThrows(Abort.class, () -> jobs.enter(JOB, NodeRig.SPEC, early));
    jobs.start(JOB, early);
    assertFalse(Files.exists(node.files.note(JOB)));
    assertEquals(0, states());
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
  void aJobRunsOneImageThoughItsTagMoves() throws Exception {
    Jobs jobs = node.launcher().jobs;
    node.externStep(42, true);
    String first = digest(jobs.enter(JOB, NodeRig.SPEC, jobs.arrival()));
    node.push("something else");
    assertEquals(first, digest(jobs.enter(JOB, spec(1), jobs.arrival())));
    jobs.release(42, jobs.arrival());
    assertEquals(first, digest(node.launcher().jobs.enter(JOB, "image=site/small;root=1", 1)));
    node.externStep(43, true);
    JobKey next = new JobKey(43, NodeRig.NOBODY);
    assertFalse(first.equals(digest(jobs.enter(next, NodeRig.SPEC, jobs.arrival()))));
  }

  @Test
  void aClusterWithoutANameIsSaid() throws Exception {
    node.script(node.directory.resolve("scontrol"), "exit 1");
    Jobs jobs = node.launcher().jobs;
    node.externStep(42, true);
    Container container = jobs.enter(JOB, NodeRig.SPEC, jobs.arrival());
    assertEquals(75, failure(container).exitCode());
    node.script(node.directory.resolve("scontrol"), "echo 'ClusterName = rig'");
    assertTrue(jobs.enter(JOB, NodeRig.SPEC, jobs.arrival()).start().get().id().isRunning());
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
    jobs.enter(JOB, spec(1), jobs.arrival()).start().get();
    jobs.enter(JOB, spec(2), jobs.arrival()).start().get();
    Abort ofJob = assertThrows(Abort.class, () -> jobs.enter(JOB, spec(3), jobs.arrival()));
    assertEquals(ExitCode.UNAVAILABLE, ofJob.exitCode());
    assertTrue(ofJob.getMessage().contains("job 42 has 2"), ofJob.getMessage());
    jobs.enter(JOB, spec(1), jobs.arrival()).start().get();
    jobs.enter(other, spec(1), jobs.arrival()).start().get();
    Abort ofUser = assertThrows(Abort.class, () -> jobs.enter(other, spec(2), jobs.arrival()));
    assertTrue(ofUser.getMessage().contains("your jobs have 3"), ofUser.getMessage());
    jobs.release(42, jobs.arrival());
    jobs.enter(other, spec(2), jobs.arrival()).start().get();
  }

  @Test
  void aRestartedLauncherFindsEveryContainer() throws Exception {
    NodeRig.Launcher first = node.launcher();
    node.externStep(42, true);
    first.jobs.register(JOB, NodeRig.SPEC, first.jobs.arrival());
    Holder one = first.jobs.enter(JOB, "", first.jobs.arrival()).start().get();
    Holder two = first.jobs.enter(JOB, spec(1), first.jobs.arrival()).start().get();
    first.stop();
    Jobs jobs = node.launcher().jobs;
    assertEquals(one.id(), jobs.enter(JOB, "", jobs.arrival()).start().get().id());
    Container again = jobs.enter(JOB, spec(1), jobs.arrival());
    assertEquals(two.id(), again.start().get().id());
    assertTrue(again.environment().contains(NodeRig.VARIABLE));
    jobs.release(42, jobs.arrival());
    Await.await("the holders end", () -> !one.id().isRunning() && !two.id().isRunning());
    assertEquals(0, states());
  }

  @Test
  void aRestartAsksTheNameServiceNothing() throws Exception {
    NodeRig.Launcher first = node.launcher();
    JobKey unknown = new JobKey(42, 3_999_999_999L); // has no name here, as when it does not answer
    Holder holder = first.jobs.enter(known(), NodeRig.SPEC, first.jobs.arrival()).start().get();
    first.stop();
    Path state = node.files.state(JOB);
    Files.writeString(
        node.files.state(unknown),
        Files.readString(state).replace("uid=" + JOB.uid(), "uid=" + unknown.uid()));
    Files.delete(state);
    Jobs jobs = node.launcher().jobs;
    assertEquals(holder.id(), jobs.enter(unknown, NodeRig.SPEC, jobs.arrival()).start().get().id());
  }

  private JobKey known() throws Exception {
    node.externStep(42, true);
    return JOB;
  }

  @Test
  void aDamagedStateIsSetAsideAndItsNoteKept() throws Exception {
    node.externStep(42, true);
    Files.writeString(node.files.state(JOB), "job=forty-two\nuid=\\u00");
    Files.createFile(node.files.note(JOB));
    Jobs unused = node.launcher().jobs;
    assertEquals(0, states());
    assertTrue(Files.exists(node.files.damaged(node.files.state(JOB))));
    assertTrue(Files.exists(node.files.note(JOB)));
  }

  @Test
  void theNoteOfAJobInItsPrologOutlivesAStartOfTheLauncher() throws Exception {
    Path staged = Files.writeString(node.files.notesDirectory().resolve(".42"), "image=site/sm");
    Files.writeString(node.files.note(new JobKey(41, NodeRig.NOBODY)), NodeRig.SPEC);
    Jobs jobs = node.launcher().jobs;
    assertTrue(Files.exists(staged));
    node.externStep(41, true);
    JobKey job = new JobKey(41, NodeRig.NOBODY);
    assertEquals(
        "site/small:latest", jobs.enter(job, "", jobs.arrival()).spec().image().toString());
  }

  @Test
  void aNoteThatIsRefusedStays() throws Exception {
    node.externStep(42, true);
    Files.writeString(node.files.note(JOB), "image=");
    Jobs unused = node.launcher().jobs;
    assertEquals("image=", Files.readString(node.files.note(JOB)));
  }

  @Test
  void theNoteOfAContainerWhoseJobHasGoneIsRemoved() throws Exception {
    Files.createFile(node.files.note(JOB));
    Jobs unused = node.launcher().jobs;
    assertFalse(Files.exists(node.files.note(JOB)));
  }

  @Test
  void aJobWhoseEpilogTookItsNoteAwayIsNotTakenUp() throws Exception {
    JobKey here = new JobKey(43, NodeRig.NOBODY);
    NodeRig.Launcher first = node.launcher();
    for (JobKey job : List.of(JOB, here)) {
      first.jobs.register(job, NodeRig.SPEC, first.jobs.arrival());
    }
    first.stop();
    node.externStep(43, true);
    Files.delete(node.files.note(JOB));
    Files.delete(node.files.note(here));
    Jobs unused = node.launcher().jobs;
    assertFalse(Files.exists(node.files.state(JOB)));
    assertFalse(Files.exists(node.files.note(JOB)));
    assertTrue(Files.exists(node.files.note(here)), "its steps must find a container");
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
    assertEquals(0, states());
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

  @Test
  void aContainerWhoseSpecIsDamagedIsEnded() throws Exception {
    NodeRig.Launcher first = node.launcher();
    Holder holder = first.jobs.enter(known(), NodeRig.SPEC, first.jobs.arrival()).start().get();
    first.stop();
    Path state = node.files.state(JOB);
    String text = Files.readString(state);
    Files.writeString(state, text.replace("image\\=site/small", "image\\=no\\=such"));
    Jobs unused = node.launcher().jobs;
    Await.await("the holder ends", () -> !holder.id().isRunning());
    assertEquals(0, states());
    assertTrue(Files.exists(node.files.note(JOB)), "no task runs on the host instead");
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

  @Test
  void aContainerThatCannotBeNotedIsNotKept() throws Exception {
    Jobs jobs = node.launcher().jobs;
    node.externStep(42, true);
    Files.createDirectory(node.files.staged(JOB)); // as if there were no room
    Container container = jobs.enter(JOB, NodeRig.SPEC, jobs.arrival());
    assertEquals(ExitCode.FULL, failure(container).exitCode());
    Await.await("no holder is left", () -> holders() == 0);
    Files.deleteIfExists(node.files.staged(JOB));
    assertNotSame(container, jobs.enter(JOB, NodeRig.SPEC, jobs.arrival()));
  }

  @Test
  void whatAWriterLeftWhenItWasKilledIsRemoved() throws Exception {
    Path left = Files.writeString(node.files.staged(JOB), "job=4");
    Jobs unused = node.launcher().jobs;
    assertFalse(Files.exists(left));
  }

  @Test
  void anErrorOfATaskIsTheAnswerOfWhoeverWaits() throws Exception {
    Jobs jobs = node.launcher().jobs;
    node.externStep(42, true);
    node.script(node.directory.resolve("lib/holder"), "echo 'holder: no luck' >&2; exit 66");
    Container container = jobs.enter(JOB, NodeRig.SPEC, jobs.arrival());
    assertEquals("no luck", failure(container).getMessage());
  }

  @Test
  void aStepHearsThatTheNodeHasNoThreadForIt() throws Exception {
    Executor none =
        task -> {
          throw new Error("unable to create native thread"); // JUnit ends at once with the real one
        };
    Jobs jobs = new Jobs(node.settings(), node.launcher().images, node.slurm(), none);
    node.externStep(42, true);
    Abort failure = failure(jobs.enter(JOB, NodeRig.SPEC, jobs.arrival()));
    assertEquals(ExitCode.UNAVAILABLE, failure.exitCode());
    assertTrue(failure.getMessage().contains("no thread"), failure.getMessage());
  }

  @Test
  void anErrorWhileAContainerIsNotedEndsIt() throws Exception {
    NodeRig.Launcher launcher = node.launcher();
    Container.Keeper poor =
        new Container.Keeper() {
          @Override
          public void complete(Container container, Holder holder) {
            throw new OutOfMemoryError("no heap");
          }

          @Override
          public void failed(Container container, Throwable failure) {}
        };
    Spec spec = Spec.parse(NodeRig.SPEC);
    Container container =
        Container.prepare(
            JOB, spec, 1, node.settings(), launcher.images, node.slurm(), launcher.workers, poor);
    assertEquals(ExitCode.INTERNAL, failure(container).exitCode());
    Await.await("no holder is left", () -> holders() == 0);
    container.close();
  }

  @Test
  void theLogHasATraceOfAFaultOfTheNodeAndNoneOfAUsersMistake() throws Exception {
    ListAppender<ILoggingEvent> log = new ListAppender<>();
    log.list = new CopyOnWriteArrayList<>();
    log.start();
    Logger logger = (Logger) LoggerFactory.getLogger("org.layercake.launcher");
    logger.addAppender(log);
    try {
      Jobs jobs = node.launcher().jobs;
      node.externStep(42, true);
      for (int status : List.of(ExitCode.MISSING, ExitCode.MISCONFIGURED)) {
        node.script(directory.resolve("lib/holder"), "exit " + status);
        long before = failures(log).size();
        Container unused = jobs.enter(JOB, NodeRig.SPEC, jobs.arrival());
        Await.await("the failure is logged", () -> failures(log).size() > before);
      }
    } finally {
      logger.detachAppender(log);
    }
    ILoggingEvent mistake = failures(log).get(0);
    ILoggingEvent fault = failures(log).get(1);
    assertEquals(Level.INFO, mistake.getLevel());
    assertNull(mistake.getThrowableProxy());
    assertEquals(Level.ERROR, fault.getLevel());
    assertNotNull(fault.getThrowableProxy());
  }

  private static List<ILoggingEvent> failures(ListAppender<ILoggingEvent> log) {
    return log.list.stream().filter(e -> e.getMessage().startsWith("event=failed ")).toList();
  }

  /** Why it could not be had. */
  private static Abort failure(Container container) {
    Exception failure =
        assertThrows(Exception.class, () -> container.start().get(30, TimeUnit.SECONDS));
    return (Abort) failure.getCause();
  }

  private static String spec(int n) {
    return NodeRig.SPEC + ";mount=/tmp:/m" + n + ":ro";
  }

  private long states() throws Exception {
    try (Stream<Path> files = Files.list(node.files.states())) {
      return files.count();
    }
  }

  private long holders() {
    return node.processes().stream().filter(JobsTest::isHolder).count();
  }

  private static boolean isHolder(ProcessHandle process) {
    List<String> words = List.of(process.info().arguments().orElse(new String[0]));
    return words.stream().anyMatch(word -> word.endsWith("/holder"));
  }
}
