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
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.layercake.launcher.node.Event;
import org.slf4j.event.KeyValuePair;

class EventLayoutTest {
  private static final long SECOND = 1_000_000_000L;

  private final Logger logger = new LoggerContext().getLogger("test");
  private final AtomicLong now = new AtomicLong(1);
  private final EventLayout layout = new EventLayout(now::get);

  /** A line from its level on; fields are names and values, one after the other. */
  private String line(String event, Object... fields) {
    return laidOut(null, event, fields);
  }

  private String laidOut(Throwable cause, String event, Object... fields) {
    LoggingEvent logged =
        new LoggingEvent(getClass().getName(), logger, Level.WARN, null, cause, null);
    logged.addKeyValuePair(new KeyValuePair("event", event));
    for (int i = 0; i < fields.length; i += 2) {
      logged.addKeyValuePair(new KeyValuePair((String) fields[i], fields[i + 1]));
    }
    String line = layout.doLayout(logged);
    return line.isEmpty() ? "" : line.substring(line.indexOf("WARN"));
  }

  @AfterEach
  void linesAreNotJson() {
    EventLayout.useJson(false);
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
      Logger log = context.getLogger("test");
      Event.MALFORMED.on(log).addKeyValue("cause", "é\u202e uid=0").log();
      log.warn("{} of a library", "a line");
    } finally {
      System.setErr(stderr);
    }
    String lines = written.toString(UTF_8);
    List<String> ends = lines.lines().map(line -> line.replaceFirst("^\\S+ ", "")).toList();
    assertEquals(
        List.of(
            "WARN  event=malformed cause=\"é? uid=0\"", "WARN  message=\"a line of a library\""),
        ends);
  }

  @Test
  void aPlainValueStandsAsItIs() {
    assertEquals(
        "WARN  event=ready job=42 image=site/deb:12\n",
        line("ready", "job", 42, "image", "site/deb:12"));
  }

  @Test
  void textOfAUserCannotLookLikeAField() {
    assertEquals(
        "WARN  event=failed cause=\"no \\\"x\\\" uid=0 \\\\\" uid=1001\n",
        line("failed", "cause", "no \"x\" uid=0 \\", "uid", 1001));
    assertEquals("WARN  event=failed cause=\"\"\n", line("failed", "cause", ""));
  }

  @Test
  void nothingInvisibleIsInALine() {
    assertEquals(
        "WARN  event=failed cause=a???????é日b\n",
        line("failed", "cause", "a\n\u0085\u009b\u202e\u2028\u2029\u200fé日b"));
  }

  @Test
  void aFailureIsPartOfItsLine() {
    Exception failure = new Exception("one\n2026-01-01 INFO event=fake", new Error("\u202e"));
    String line = laidOut(failure, "failure");
    assertTrue(
        line.startsWith(
            "WARN  event=failure trace=\"java.lang.Exception: one?2026-01-01 INFO event=fake"
                + " at org.layercake.launcher.EventLayoutTest.aFailureIsPartOfItsLine("),
        line);
    assertTrue(line.contains("; caused by java.lang.Error: ? at org.layercake."), line);
    assertEquals(1, line.lines().count(), line);
  }

  @Test
  void aLineCanBeAJsonObject() {
    EventLayout.useJson(true);
    assertEquals(
        "WARN\",\"event\":\"failed\",\"job\":42,\"cause\":\"no \\\"x\\\"? é\"}\n",
        line("failed", "job", 42L, "cause", "no \"x\"\n é"));
    LoggingEvent logged = new LoggingEvent("", logger, Level.INFO, null, null, null);
    String object = layout.doLayout(logged);
    assertTrue(object.matches("\\{\"time\":\"[^\"]+\",\"level\":\"INFO\"}\n"), object);
  }

  @Test
  void oneUsersFloodIsCountedAndNotWritten() {
    String flood = "too-many-clients";
    int lines = 0;
    for (int i = 0; i < 200_000; i++) {
      lines += line(flood, "uid", 1001).isEmpty() ? 0 : 1;
    }
    assertEquals(EventLayout.BURST, lines);
    assertEquals("WARN  event=too-many-clients uid=1002\n", line(flood, "uid", 1002));
    assertEquals(
        "WARN  event=malformed uid=1001 cause=x\n", line("malformed", "uid", 1001, "cause", "x"));
    now.addAndGet(10 * SECOND);
    assertEquals(
        "WARN  event=too-many-clients uid=1001 suppressed=" + (200_000 - EventLayout.BURST) + "\n",
        line(flood, "uid", 1001));
    assertEquals("", line(flood, "uid", 1001));
    now.addAndGet(10 * EventLayout.BURST * SECOND);
    assertEquals("WARN  event=too-many-clients uid=1001 suppressed=1\n", line(flood, "uid", 1001));
    assertEquals("WARN  event=too-many-clients uid=1001\n", line(flood, "uid", 1001));
  }

  @Test
  void startsAreAllThereAtAnyRateThatANodeCanHave() {
    int lines = 0;
    for (int second = 0; second < 1000; second++) {
      for (int i = 0; i < 10; i++) {
        lines += line(Event.READY.label(), "uid", 1001, "image", "a").isEmpty() ? 0 : 1;
      }
      now.addAndGet(SECOND);
    }
    assertEquals(10_000, lines);
  }

  @Test
  void linesOfTheChunksOfOneImageAreCountedAndNotWritten() {
    int lines = 0;
    for (int chunk = 0; chunk < 200_000; chunk++) {
      lines += line("chunk-lost", "image", "u.alice/a", "chunk", chunk).isEmpty() ? 0 : 1;
      lines += line("copy", "domain", "u.alice", "object", chunk).isEmpty() ? 0 : 1;
    }
    assertEquals(2 * EventLayout.BURST, lines);
    assertEquals(
        "WARN  event=chunk-lost image=u.alice/b chunk=0\n",
        line("chunk-lost", "image", "u.alice/b", "chunk", 0));
  }

  @Test
  void rootsLinesAreAllThere() {
    for (int i = 0; i < 100; i++) {
      assertEquals("WARN  event=malformed uid=0\n", line("malformed", "uid", 0));
      assertEquals("WARN  event=start\n", line("start"));
    }
  }
}
