package org.layercake.store;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Collectors;

/** How often each event has come since the program started, written to the log or not. */
public final class EventCounts {
  private static final Map<LogEvent, LongAdder> COUNTS = new ConcurrentHashMap<>();

  private EventCounts() {}

  static void add(LogEvent event) {
    COUNTS.computeIfAbsent(event, e -> new LongAdder()).increment();
  }

  /** Of those that have come. */
  public static Map<LogEvent, Long> all() {
    return COUNTS.entrySet().stream()
        .collect(Collectors.toMap(Map.Entry::getKey, entry -> entry.getValue().sum()));
  }
}
