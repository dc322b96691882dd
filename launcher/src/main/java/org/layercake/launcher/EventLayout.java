package org.layercake.launcher;

import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.classic.spi.IThrowableProxy;
import ch.qos.logback.core.LayoutBase;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;
import org.layercake.store.Text;

/**
 * The launcher's log: time, level, {@code event=NAME}, fields, one line each. What users write can
 * neither look like a field or a line of its own nor fill the disk: a value with blanks is quoted,
 * nothing invisible is in a line, and of one user's lines of one kind there are {@value #BURST} at
 * once and then one in ten seconds, with {@code suppressed=} and how many there were between. The
 * same holds for lines without a user about one image or domain, of which some tell of each chunk.
 *
 * <p>Public because logback makes it, by launcher-logback.xml.
 */
public final class EventLayout extends LayoutBase<ILoggingEvent> {
  static final int BURST = 30;

  private static final long NANOS_PER_LINE = 10_000_000_000L;
  private static final int MAX_KINDS = 4096;
  private static final int MAX_VALUE_CHARS = 4000;
  private static final int MAX_FRAMES = 6;
  private static final int MAX_CAUSES = 8;
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSSXXX").withZone(ZoneId.systemDefault());
  private static final String PLACE = "{}";
  private static final String UID = "uid=";

  /** Fields that say whose a line is; the first that it has counts. */
  private static final List<String> OWNERS = List.of(UID, "image=", "domain=");

  /** Lines of one kind and owner. */
  private static final class Kind {
    private long paidUntilNanos; // each line costs so many; guarded by kinds
    private long suppressed; // guarded by kinds
  }

  private final LongSupplier nanos;
  private final Map<String, Kind> kinds =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Kind> eldest) {
          return size() > MAX_KINDS;
        }
      };

  public EventLayout() {
    this(System::nanoTime);
  }

  /**
   * As the other, with another clock.
   *
   * @param nanos as {@link System#nanoTime}
   */
  EventLayout(LongSupplier nanos) {
    this.nanos = nanos;
  }

  @Override
  public String doLayout(ILoggingEvent event) {
    long suppressed = admit(event);
    if (suppressed < 0) {
      return "";
    }
    StringBuilder line = new StringBuilder(200);
    TIME.formatTo(Instant.ofEpochMilli(event.getTimeStamp()), line);
    line.append(String.format(" %-5s ", event.getLevel()));
    addMessage(line, event);
    if (suppressed > 0) {
      line.append(" suppressed=").append(suppressed);
    }
    line.append('\n');
    addCauses(line, event.getThrowableProxy());
    return line.toString();
  }

  /** How many lines like it were left out before; -1 when this one is to be, too. */
  private long admit(ILoggingEvent event) {
    String owner = owner(event);
    if (owner.isEmpty() || owner.equals(UID + 0)) {
      return 0;
    }
    long now = nanos.getAsLong();
    synchronized (kinds) {
      Kind kind = kinds.computeIfAbsent(owner + " " + event.getMessage(), k -> new Kind());
      if (kind.paidUntilNanos - now <= 0 || kind.paidUntilNanos == 0) {
        kind.paidUntilNanos = now; // all of the burst is free again
      }
      if (kind.paidUntilNanos - now > (BURST - 1) * NANOS_PER_LINE) {
        kind.suppressed++;
        return -1;
      }
      kind.paidUntilNanos += NANOS_PER_LINE;
      long before = kind.suppressed;
      kind.suppressed = 0;
      return before;
    }
  }

  /** The field as the program wrote it, whatever text is in others; empty without one. */
  private static String owner(ILoggingEvent event) {
    return OWNERS.stream()
        .map(field -> field(event, field))
        .filter(field -> !field.isEmpty())
        .findFirst()
        .orElse("");
  }

  private static String field(ILoggingEvent event, String field) {
    String message = event.getMessage();
    Object[] values = event.getArgumentArray();
    int at = message.indexOf(field + PLACE);
    if (at < 0 || values == null) {
      return "";
    }
    int which = 0;
    for (int i = message.indexOf(PLACE); i >= 0 && i < at; i = message.indexOf(PLACE, i + 1)) {
      which++;
    }
    return which < values.length ? field + values[which] : "";
  }

  private static void addMessage(StringBuilder line, ILoggingEvent event) {
    String message = event.getMessage();
    Object[] values = event.getArgumentArray();
    int from = 0;
    for (int i = 0; values != null && i < values.length; i++) {
      int place = message.indexOf(PLACE, from);
      if (place < 0) {
        break;
      }
      line.append(Text.clean(message.substring(from, place))).append(value(values[i]));
      from = place + PLACE.length();
    }
    line.append(Text.clean(message.substring(from)));
  }

  private static String value(Object value) {
    String text = Text.clean(String.valueOf(value));
    if (text.length() > MAX_VALUE_CHARS) {
      text = text.substring(0, MAX_VALUE_CHARS) + "…";
    }
    boolean plain = !text.isEmpty() && text.chars().noneMatch(c -> " =\"\\".indexOf(c) >= 0);
    return plain ? text : '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }

  /** Indented, so that no text of an exception begins a line. */
  private static void addCauses(StringBuilder line, IThrowableProxy failure) {
    IThrowableProxy cause = failure;
    for (int i = 0; cause != null && i < MAX_CAUSES; i++, cause = cause.getCause()) {
      String text = Text.clean(cause.getClassName() + ": " + cause.getMessage());
      line.append("    ").append(text, 0, Math.min(text.length(), MAX_VALUE_CHARS)).append('\n');
      int frames = Math.min(MAX_FRAMES, cause.getStackTraceElementProxyArray().length);
      for (int k = 0; k < frames; k++) {
        String frame = cause.getStackTraceElementProxyArray()[k].getSTEAsString();
        line.append("        ").append(Text.clean(frame)).append('\n');
      }
    }
  }
}
