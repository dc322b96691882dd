package org.layercake.launcher.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Await;
import org.layercake.launcher.node.Event;
import org.layercake.store.ExitCode;
import org.slf4j.LoggerFactory;

/** How a container fails: whoever waits hears why, and nothing is left. */
@Timeout(120)
class ContainerTest extends NodeTestCase {
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
          public Path root(Container container, Images.Mounted image) {
            return image.directory();
          }

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
    return log.list.stream()
        .filter(e -> e.getKeyValuePairs().get(0).value.equals(Event.FAILED.label()))
        .toList();
  }

  /** Why it could not be had. */
  private static Abort failure(Container container) {
    Exception failure =
        assertThrows(Exception.class, () -> container.start().get(30, TimeUnit.SECONDS));
    return (Abort) failure.getCause();
  }

  private long holders() {
    return node.processes().stream().filter(ContainerTest::isHolder).count();
  }

  private static boolean isHolder(ProcessHandle process) {
    List<String> words = List.of(process.info().arguments().orElse(new String[0]));
    return words.stream().anyMatch(word -> word.endsWith("/holder"));
  }
}
