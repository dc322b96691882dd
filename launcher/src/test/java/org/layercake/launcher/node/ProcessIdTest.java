package org.layercake.launcher.node;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class ProcessIdTest {
  private static final String REST =
      " S 1 2 3 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 5 6 18446744073709551615 1 1 0";

  @Test
  void aCommandNameCannotMoveTheStartTime() throws Exception {
    assertEquals(new ProcessId(7, 4711), ProcessId.fromStat(7, "7 (sleep)" + REST));
    assertEquals(new ProcessId(7, 4711), ProcessId.fromStat(7, "7 () S 1 (2) 3)" + REST));
  }

  @Test
  void aProcessThatNobodyHasCollectedHasEnded() {
    assertThrows(
        IOException.class, () -> ProcessId.fromStat(7, "7 (sleep)" + REST.replaceFirst("S", "Z")));
  }

  @Test
  void whatIsNoStatFileIsRefused() {
    for (String stat :
        new String[] {"", "7 (sleep) S 1 2", "7 (sleep)" + REST.replace("4711", "x")}) {
      assertThrows(IOException.class, () -> ProcessId.fromStat(7, stat));
    }
  }

  @Test
  void aProcessIsFoundAgainByWhatAFileSays() throws Exception {
    Process sleep = new ProcessBuilder("sleep", "1000").start();
    try {
      ProcessId id = ProcessId.parse(ProcessId.of(sleep.pid()) + "\n");
      assertEquals(sleep.pid(), id.find().orElseThrow().pid());
      assertTrue(new ProcessId(id.pid(), id.startTicks() + 1).find().isEmpty());
      sleep.destroyForcibly();
      assertTrue(sleep.waitFor(10, TimeUnit.SECONDS));
      assertFalse(id.isRunning());
      assertTrue(id.find().isEmpty());
    } finally {
      sleep.destroyForcibly();
    }
  }

  @Test
  void theStartCountsFromTheBootAndNotFromTheClock() throws Exception {
    // A tick is 1/100 s for programs, time(7): a time of day would be thousands of times as much.
    Process sleep = new ProcessBuilder("sleep", "1000").start();
    try {
      String uptime = Files.readString(Path.of("/proc/uptime"));
      double uptimeSeconds = Double.parseDouble(uptime.substring(0, uptime.indexOf(' ')));
      double startSeconds = ProcessId.of(sleep.pid()).startTicks() / 100.0;
      assertTrue(startSeconds <= uptimeSeconds, startSeconds + " > " + uptimeSeconds);
    } finally {
      sleep.destroyForcibly();
    }
  }
}
