package org.layercake.launcher;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.IThrowableProxy;
import ch.qos.logback.classic.spi.StackTraceElementProxy;
import ch.qos.logback.core.LayoutBase;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;
import org.layercake.launcher.node.Event;
import org.layercake.store.Text;
import org.slf4j.event.KeyValuePair;

/**
 * The launcher's log: one line for each event, as {@code TIME LEVEL event=NAME FIELD=VALUE…} or as
 * a JSON object. Text of users can neither look like a field or a line of its own nor fill the
 * disk: a value with blanks is quoted, nothing invisible is in a line, and of one user's lines of
 * one kind there are {@value #BURST} at once and then one in ten seconds, with {@code suppressed=}
 * and how many there were between. The same holds for lines without a user about one image or
 * domain, of which some tell of each chunk. Lines by which starts are counted may be a hundred
 * times as many, since each costs its user a job or a step.
 *
 * <p>Public because logback makes it, by launcher-logback.xml.
 */
public final class EventLayout extends LayoutBase<ILoggingEvent> {
  static final int BURST = 30;

  private static final long NANOS_PER_LINE = 10_000_000_000L;
  private static final int MORE = 100;
  private static final int MAX_VALUE_CHARS = 4000;
  private static final int MAX_FRAMES = 6;
  private static final int MAX_CAUSES = 8;
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSXXX").withZone(ZoneId.systemDefault());
  private static final JsonFactory JSON = new JsonFactory();

  /** Fields that say whose a line is; the first that it has counts. */
  private static final List<String> OWNERS = List.of("uid", "image", "digest", "domain");

  private static volatile boolean json; // logback has made us when the setting is read

  private static final int MAX_KEPT_CHARS = 500;
  private static final int MAX_ERRORS = 20;
  private static final Deque<String> ERRORS = new ArrayDeque<>(); // guarded by itself

  private final LineLimit limit;
  private final LineLimit limitOfCounted;

  public EventLayout() {
    this(System::nanoTime);
  }

  /**
   * As the other, with another clock.
   *
   * @param nanos as {@link System#nanoTime}
   */
  EventLayout(LongSupplier nanos) {
    limit = new LineLimit(BURST, NANOS_PER_LINE, nanos);
    limitOfCounted = new LineLimit(MORE * BURST, NANOS_PER_LINE / MORE, nanos);
  }

  /** From now on, lines are JSON objects, or not. */
  static void useJson(boolean wanted) {
    json = wanted;
  }

  @Override
  public String doLayout(ILoggingEvent event) {
    Map<String, Object> fields = fields(event);
    long suppressed = admit(fields);
    if (suppressed < 0) {
      return "";
    }
    if (suppressed > 0) {
      fields.put("suppressed", suppressed);
    }
    if (event.getThrowableProxy() != null) {
      fields.put("trace", bounded(trace(event.getThrowableProxy())));
    }
    String time = TIME.format(Instant.ofEpochMilli(event.getTimeStamp()));
    String level = event.getLevel().toString();
    if (event.getLevel().isGreaterOrEqual(Level.WARN)) {
      keep(line(time, level, fields));
    }
    return (json ? object(time, level, fields) : line(time, level, fields)) + "\n";
  }

  private static void keep(String line) {
    synchronized (ERRORS) {
      ERRORS.addLast(line.length() > MAX_KEPT_CHARS ? line.substring(0, MAX_KEPT_CHARS) : line);
      if (ERRORS.size() > MAX_ERRORS) {
        ERRORS.removeFirst();
      }
    }
  }

  /** The last lines that were warnings or worse. */
  static List<String> lastErrors() {
    synchronized (ERRORS) {
      return List.copyOf(ERRORS);
    }
  }

  private static Map<String, Object> fields(ILoggingEvent event) {
    Map<String, Object> fields = new LinkedHashMap<>();
    if (event.getKeyValuePairs() != null) {
      for (KeyValuePair pair : event.getKeyValuePairs()) {
        fields.put(pair.key, value(pair.value));
      }
    }
    if (event.getMessage() != null) { // a library's, since all of ours are events
      fields.put("message", value(event.getFormattedMessage()));
    }
    return fields;
  }

  private static Object value(Object value) {
    boolean plain = value instanceof Long || value instanceof Integer || value instanceof Boolean;
    return plain ? value : bounded(Text.clean(String.valueOf(value)));
  }

  private static String bounded(String text) {
    return text.length() > MAX_VALUE_CHARS ? text.substring(0, MAX_VALUE_CHARS) + "…" : text;
  }

  private long admit(Map<String, Object> fields) {
    String owner = OWNERS.stream().filter(fields::containsKey).findFirst().orElse("");
    String whose = owner + "=" + fields.get(owner);
    if (owner.isEmpty() || whose.equals("uid=0")) {
      return 0;
    }
    Object event = fields.get("event");
    boolean counted = Event.COUNTED.stream().anyMatch(each -> each.label().equals(event));
    return (counted ? limitOfCounted : limit).admit(whose + " " + event);
  }

  private static String line(String time, String level, Map<String, Object> fields) {
    StringBuilder line = new StringBuilder(200);
    line.append(time).append(String.format(" %-5s", level));
    fields.forEach((name, value) -> line.append(' ').append(name).append('=').append(text(value)));
    return line.toString();
  }

  private static String text(Object value) {
    String text = value.toString();
    boolean plain = !text.isEmpty() && text.chars().noneMatch(c -> " =\"\\".indexOf(c) >= 0);
    return plain ? text : '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }

  private static String object(String time, String level, Map<String, Object> fields) {
    StringWriter line = new StringWriter(200);
    try (JsonGenerator out = JSON.createGenerator(line)) {
      out.writeStartObject();
      out.writeStringField("time", time);
      out.writeStringField("level", level);
      for (Map.Entry<String, Object> field : fields.entrySet()) {
        out.writeFieldName(field.getKey());
        out.writeObject(field.getValue()); // a number, a truth value or a text
      }
      out.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return line.toString();
  }

  private static String trace(IThrowableProxy failure) {
    StringBuilder trace = new StringBuilder();
    IThrowableProxy cause = failure;
    for (int i = 0; cause != null && i < MAX_CAUSES; i++, cause = cause.getCause()) {
      String text = Text.clean(cause.getClassName() + ": " + cause.getMessage());
      trace.append(i == 0 ? "" : "; caused by ").append(bounded(text));
      StackTraceElementProxy[] frames = cause.getStackTraceElementProxyArray();
      for (int k = 0; k < Math.min(MAX_FRAMES, frames.length); k++) {
        trace.append(k == 0 ? " " : ", ").append(Text.clean(frames[k].getSTEAsString()));
      }
    }
    return trace.toString();
  }
}
