package org.layercake.launcher;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.joran.JoranConfigurator;
import ch.qos.logback.classic.spi.LoggingEvent;
import ch.qos.logback.classic.util.LogbackMDCAdapter;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class EventLayoutTest {
  private static final long SECOND = 1_000_000_000L;

  private final Logger logger = new LoggerContext().getLogger("test");
  private final AtomicLong now = new AtomicLong(1);
  private final EventLayout layout = new EventLayout(now::get);

  private String line(String message, Object... values) {
    LoggingEvent event =
        new LoggingEvent(getClass().getName(), logger, Level.WARN, message, null, values);
    String line = layout.doLayout(event);
    return line.isEmpty() ? "" : line.substring(line.indexOf("WARN"));
  }

  @Test
  void theLauncherLogsThroughIt() throws Exception {
    String script = Files.readString(Path.of("src/main/dist/usr/sbin/layercake-launcher"));
    Matcher file = Pattern.compile("\\s-Dlogback.configurationFile=(\\S+)").matcher(script);
    assertTrue(file.find(), script);
    LoggerContext context = new LoggerContext();
    context.setMDCAdapter(new LogbackMDCAdapter());
    JoranConfigurator configurator = new JoranConfigurator();
    configurator.setContext(context);
    configurator.doConfigure(getClass().getClassLoader().getResource(file.group(1)));
    PrintStream stderr = System.err;
    ByteArrayOutputStream written = new ByteArrayOutputStream();
    System.setErr(new PrintStream(written, true, UTF_8));
    try {
      context.getLogger("test").warn("event=failed cause={}", "é\u202e uid=0");
    } finally {
      System.setErr(stderr);
    }
    String line = written.toString(UTF_8);
    assertTrue(line.endsWith(" WARN  event=failed cause=\"é? uid=0\"\n"), line);
  }

  @Test
  void aPlainValueStandsAsItIs() {
    assertEquals(
        "WARN  event=ready job=42 image=site/deb:12\n",
        line("event=ready job={} image={}", 42, "site/deb:12"));
  }

  @Test
  void textOfAUserCannotLookLikeAField() {
    assertEquals(
        "WARN  event=failed cause=\"no \\\"x\\\" uid=0 \\\\\" uid=1001\n",
        line("event=failed cause={} uid={}", "no \"x\" uid=0 \\", 1001));
    assertEquals("WARN  event=failed cause=\"\"\n", line("event=failed cause={}", ""));
  }

  @Test
  void nothingInvisibleIsInALine() {
    assertEquals(
        "WARN  event=failed cause=a???????é日b\n",
        line("event=failed cause={}", "a\n\u0085\u009b\u202e\u2028\u2029\u200fé日b"));
  }

  @Test
  void theTextOfAnExceptionBeginsNoLine() {
    Exception failure = new Exception("one\n2026-01-01 INFO event=fake", new Error("\u202e"));
    String trace = line("event=failure", failure);
    assertTrue(
        trace.contains("\n    java.lang.Exception: one?2026-01-01 INFO event=fake\n"), trace);
    assertTrue(trace.contains("\n    java.lang.Error: ?\n"), trace);
    assertTrue(trace.lines().skip(1).allMatch(each -> each.startsWith("    ")), trace);
  }

  @Test
  void oneUsersFloodIsCountedAndNotWritten() {
    String flood = "event=too-many-clients uid={}";
    int lines = 0;
    for (int i = 0; i < 200_000; i++) {
      lines += line(flood, 1001).isEmpty() ? 0 : 1;
    }
    assertEquals(EventLayout.BURST, lines);
    assertEquals("WARN  event=too-many-clients uid=1002\n", line(flood, 1002));
    assertEquals(
        "WARN  event=malformed uid=1001 cause=x\n",
        line("event=malformed uid={} cause={}", 1001, "x"));
    now.addAndGet(10 * SECOND);
    assertEquals(
        "WARN  event=too-many-clients uid=1001 suppressed=" + (200_000 - EventLayout.BURST) + "\n",
        line(flood, 1001));
    assertEquals("", line(flood, 1001));
    now.addAndGet(10 * EventLayout.BURST * SECOND);
    assertEquals("WARN  event=too-many-clients uid=1001 suppressed=1\n", line(flood, 1001));
    assertEquals("WARN  event=too-many-clients uid=1001\n", line(flood, 1001));
  }

  @Test
  void linesOfTheChunksOfOneImageAreCountedAndNotWritten() {
    int lines = 0;
    for (int chunk = 0; chunk < 200_000; chunk++) {
      lines += line("event=chunk-lost image={} chunk={}", "u.alice/a", chunk).isEmpty() ? 0 : 1;
      lines += line("domain={} object={} {}", "u.alice", chunk, "event=copy").isEmpty() ? 0 : 1;
    }
    assertEquals(2 * EventLayout.BURST, lines);
    assertEquals(
        "WARN  event=chunk-lost image=u.alice/b chunk=0\n",
        line("event=chunk-lost image={} chunk={}", "u.alice/b", 0));
  }

  @Test
  void rootsLinesAreAllThere() {
    for (int i = 0; i < 100; i++) {
      assertEquals("WARN  event=malformed uid=0\n", line("event=malformed uid={}", 0));
      assertEquals("WARN  event=start\n", line("event=start"));
    }
  }
}
