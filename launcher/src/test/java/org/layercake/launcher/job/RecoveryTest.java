package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.layercake.launcher.node.Await;

/** What a launcher takes up of what an earlier one left. */
@Timeout(120)
class RecoveryTest extends NodeTestCase {
  @Test
  void aRestartedLauncherFindsEveryContainer() throws Exception {
    NodeRig.Launcher first = node.launcher();
    node.externStep(42, true);
    first.jobs.register(JOB, NodeRig.SPEC, first.jobs.arrival());
    Holder one = first.jobs.enter(JOB, "", first.jobs.arrival()).start().get();
    Holder two = first.jobs.enter(JOB, NodeRig.spec(1), first.jobs.arrival()).start().get();
    first.stop();
    Jobs jobs = node.launcher().jobs;
    assertEquals(one.id(), jobs.enter(JOB, "", jobs.arrival()).start().get().id());
    Container again = jobs.enter(JOB, NodeRig.spec(1), jobs.arrival());
    assertEquals(two.id(), again.start().get().id());
    assertTrue(again.environment().contains(NodeRig.VARIABLE));
    jobs.release(42, jobs.arrival());
    Await.await("the holders end", () -> !one.id().isRunning() && !two.id().isRunning());
    assertEquals(0, node.states());
  }

  @Test
  void tasksKeepTheirImageWhenTheHolderHasEndedBeforeTheLauncher() throws Exception {
    Path noted = node.noteImageServer();
    NodeRig.Launcher launcher = node.launcher();
    node.externStep(42, true);
    Holder holder = launcher.jobs.enter(JOB, NodeRig.SPEC, launcher.jobs.arrival()).start().get();
    long server = Long.parseLong(Files.readString(noted).strip());
    ProcessHandle.of(holder.id().pid()).ifPresent(ProcessHandle::destroyForcibly);
    Await.await("the holder has ended", () -> !holder.id().isRunning());
    for (int restart = 0; restart < 2; restart++) {
      launcher.stop();
      launcher = node.launcher();
      assertTrue(isRunning(server));
      assertEquals(1, node.states());
    }
    launcher.jobs.release(42, launcher.jobs.arrival());
    Await.await("the image server has ended", () -> !isRunning(server));
    assertEquals(0, node.states());
  }

  @Test
  void aRestartedLauncherKeepsTheImagesThatAContainerMounts() throws Exception {
    NodeRig.Launcher first = node.launcher();
    Holder holder = enterWithData(first);
    long server = Long.parseLong(Files.readString(node.directory.resolve("server")).strip());
    first.stop();
    Jobs jobs = node.launcher().jobs;
    assertTrue(isRunning(server));
    Container again = jobs.enter(JOB, NodeRig.DATA_SPEC, jobs.arrival());
    assertEquals(holder.id(), again.start().get().id());
    jobs.release(42, jobs.arrival());
    Await.await("the image server has ended", () -> !isRunning(server));
    assertEquals(0, node.states());
  }

  @Test
  void aContainerThatHasLostAnImageItMountsIsNotTakenUp() throws Exception {
    NodeRig.Launcher first = node.launcher();
    Holder holder = enterWithData(first);
    long server = Long.parseLong(Files.readString(node.directory.resolve("server")).strip());
    first.stop();
    ProcessHandle.of(server).ifPresent(ProcessHandle::destroyForcibly);
    Await.await("the image server has ended", () -> !isRunning(server));
    Jobs jobs = node.launcher().jobs;
    Await.await("the holder ends", () -> !holder.id().isRunning());
    Container again = jobs.enter(JOB, NodeRig.DATA_SPEC, jobs.arrival());
    assertTrue(again.start().get().id().isRunning());
  }

  /** The last image server to start is that of the image which is mounted. */
  private Holder enterWithData(NodeRig.Launcher launcher) throws Exception {
    node.push("site/data", "much");
    Path unused = node.noteImageServer();
    Jobs jobs = launcher.jobs;
    return jobs.enter(node.here(JOB), NodeRig.DATA_SPEC, jobs.arrival()).start().get();
  }

  private static boolean isRunning(long pid) {
    return ProcessHandle.of(pid).map(ProcessHandle::isAlive).orElse(false);
  }

  @Test
  void aRestartAsksTheNameServiceNothing() throws Exception {
    NodeRig.Launcher first = node.launcher();
    JobKey unknown = new JobKey(42, 3_999_999_999L); // has no name here, as when it does not answer
    Holder holder =
        first.jobs.enter(node.here(JOB), NodeRig.SPEC, first.jobs.arrival()).start().get();
    first.stop();
    Path state = node.files.state(JOB);
    Files.writeString(
        node.files.state(unknown),
        Files.readString(state).replace("uid=" + JOB.uid(), "uid=" + unknown.uid()));
    Files.delete(state);
    node.giveMountsTo(unknown.uid());
    Jobs jobs = node.launcher().jobs;
    assertEquals(holder.id(), jobs.enter(unknown, NodeRig.SPEC, jobs.arrival()).start().get().id());
  }

  @Test
  void aDamagedStateIsSetAsideAndItsNoteKept() throws Exception {
    node.externStep(42, true);
    Files.writeString(node.files.state(JOB), "job=forty-two\nuid=\\u00");
    Files.createFile(node.files.note(JOB));
    Jobs unused = node.launcher().jobs;
    assertEquals(0, node.states());
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
  void aJobWhoseContainerHasGoneIsNotTakenForOneInItsProlog() throws Exception {
    NodeRig.Launcher first = node.launcher();
    first.jobs.register(JOB, NodeRig.SPEC, first.jobs.arrival());
    Holder holder = first.jobs.enter(node.here(JOB), "", first.jobs.arrival()).start().get();
    first.stop();
    node.processes().forEach(ProcessHandle::destroyForcibly);
    Await.await("the holder has gone", () -> !holder.id().isRunning());
    node.launcher().stop(); // ends before the job does
    node.externStep(42, false);
    Jobs unused = node.launcher().jobs;
    assertEquals(0, node.states());
    assertFalse(Files.exists(node.files.note(JOB)));
  }

  @Test
  void aContainerWhoseSpecIsDamagedIsEnded() throws Exception {
    NodeRig.Launcher first = node.launcher();
    Holder holder =
        first.jobs.enter(node.here(JOB), NodeRig.SPEC, first.jobs.arrival()).start().get();
    first.stop();
    Path state = node.files.state(JOB);
    String text = Files.readString(state);
    Files.writeString(state, text.replace("image\\=site/small", "image\\=no\\=such"));
    Jobs unused = node.launcher().jobs;
    Await.await("the holder ends", () -> !holder.id().isRunning());
    assertEquals(0, node.states());
    assertTrue(Files.exists(node.files.note(JOB)), "no task runs on the host instead");
  }

  @Test
  void whatAWriterLeftWhenItWasKilledIsRemoved() throws Exception {
    Path left = Files.writeString(node.files.staged(JOB), "job=4");
    Jobs unused = node.launcher().jobs;
    assertFalse(Files.exists(left));
  }
}
