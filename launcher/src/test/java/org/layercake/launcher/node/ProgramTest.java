package org.layercake.launcher.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.store.ExitCode;

/** Real programs, some with a process beside them that has taken their end of the pipe. */
class ProgramTest {
  private static final long LIMIT_MILLIS = 60_000;

  @TempDir Path directory;

  @AfterEach
  void endWhatIsLeft() throws Exception {
    for (ProcessHandle left : beside()) {
      left.destroyForcibly();
    }
  }

  @Test
  void aProgramIsReadyWhenItSaysSoAfterOtherLines() throws Exception {
    Program program = start("echo a warning >&2; echo ready; exec sleep 600");
    assertTrue(program.handle().isAlive());
    program.handle().destroyForcibly();
  }

  @Test
  void aProgramThatFailsIsReportedWithItsLastLineAndItsCode() {
    Abort failure = assertThrows(Abort.class, () -> start("echo one; echo sh: two >&2; exit 66"));
    assertEquals("two", failure.getMessage());
    assertEquals(66, failure.exitCode());
  }

  @Test
  @Timeout(30)
  void aProgramThatFailsIsReportedWhileAnotherProcessKeepsItsPipe() {
    Abort failure =
        assertThrows(Abort.class, () -> start(beside("sleep 600") + "echo cause >&2; exit 70"));
    assertEquals("cause", failure.getMessage());
  }

  @Test
  @Timeout(30)
  void thoseWhoWriteForEverToAFailedProgramsPipeAreNotReadForEver() throws Exception {
    assertThrows(Abort.class, () -> start(beside("yes").repeat(4) + "exit 70"));
    for (ProcessHandle writer : beside()) {
      writer.onExit().get(LIMIT_MILLIS, TimeUnit.MILLISECONDS); // SIGPIPE: nobody reads
    }
  }

  @Test
  @Timeout(30)
  void aProgramThatSaysTooMuchBeforeItsWordIsEnded() {
    Abort failure = assertThrows(Abort.class, () -> start("exec yes"));
    assertTrue(failure.getMessage().contains("bytes instead of \"ready\""), failure.getMessage());
  }

  @Test
  void aProgramThatIsNotThereIsTheSitesToReinstall() {
    Abort failure =
        assertThrows(
            Abort.class,
            () -> Program.start(List.of(directory.resolve("none").toString()), "ready", 1000));
    assertEquals(ExitCode.MISCONFIGURED, failure.exitCode());
  }

  @Test
  void aProgramForWhichThereIsNoDescriptorIsToBeTriedAgain() throws Exception {
    assertThrows(Abort.class, () -> start("exit 70")); // loads classes, which are files
    Descriptors.awaitWithout("it is to be tried again", ProgramTest::isToBeTriedAgain);
  }

  private static boolean isToBeTriedAgain() {
    try {
      start("echo ready").handle().destroyForcibly();
      return false;
    } catch (Abort e) {
      return e.exitCode() == ExitCode.INTERNAL && e.getMessage().endsWith("(try again)");
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void anInterruptEndsAProgramThatIsNotReady() throws Exception {
    FutureTask<Program> starting =
        new FutureTask<>(() -> start("echo $$ >" + pids() + "; exec sleep 600"));
    Thread thread = new Thread(starting);
    thread.start();
    Await.await("it runs", () -> pids().toFile().length() > 0);
    ProcessHandle program = beside().get(0);
    thread.interrupt();
    Exception failure = assertThrows(ExecutionException.class, starting::get);
    assertInstanceOf(InterruptedException.class, failure.getCause());
    program.onExit().get(LIMIT_MILLIS, TimeUnit.MILLISECONDS);
  }

  /** Runs beside the program, with its stdout and stderr, from before it fails. */
  private String beside(String command) {
    return command + " & echo $! >>" + pids() + "; sleep 0.2; ";
  }

  private List<ProcessHandle> beside() throws IOException {
    if (!Files.exists(pids())) {
      return List.of();
    }
    return Files.readAllLines(pids()).stream()
        .flatMap(pid -> ProcessHandle.of(Long.parseLong(pid)).stream())
        .toList();
  }

  private Path pids() {
    return directory.resolve("pids");
  }

  private static Program start(String script) throws Abort, InterruptedException {
    return Program.startTentative(List.of("/bin/sh", "-c", script), "ready", LIMIT_MILLIS);
  }
}
