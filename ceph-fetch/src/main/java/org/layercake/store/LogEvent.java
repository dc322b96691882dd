package org.layercake.store;

import java.util.Locale;
import org.slf4j.Logger;
import org.slf4j.event.Level;
import org.slf4j.spi.LoggingEventBuilder;

/** What a line of the log is about. All there are make the table in docs/operations.md. */
public interface LogEvent {
  /** The name of the constant. */
  String name();

  /** At which level it is logged, unless its place says another. */
  Level level();

  /** What it means, and what to do about it, for an administrator. */
  String meaning();

  /** The name as it is in the log. */
  default String label() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** A line to which fields are added before it is logged. */
  default LoggingEventBuilder on(Logger log) {
    return on(log, level());
  }

  /** The same at another level. */
  default LoggingEventBuilder on(Logger log, Level level) {
    EventCounts.add(this);
    return log.atLevel(level).addKeyValue("event", label());
  }
}
