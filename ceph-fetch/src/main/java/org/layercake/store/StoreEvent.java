package org.layercake.store;

import static org.slf4j.event.Level.DEBUG;
import static org.slf4j.event.Level.WARN;

import org.slf4j.event.Level;

/** What the store logs; see {@link LogEvent}. */
public enum StoreEvent implements LogEvent {
  CORRUPT_COPY(WARN, "A chunk did not match its digest. It is read again from the primary OSD."),
  UNREADABLE_COPY(WARN, "An OSD could not read a chunk. It is read again from the primary OSD."),
  NO_COPY(WARN, "An OSD did not have a chunk. It is read from another one."),
  CORRUPT_PRIMARY(
      WARN, "The primary's copy of a chunk was bad, too. The other replicas are read one by one."),
  GOOD_REPLICA(
      WARN,
      "Another replica's copy of the chunk was good: repair the placement group, and look after the"
          + " OSDs."),
  REPLICA_FAILED(WARN, "A replica did not serve a read. The primary was asked."),
  REPLICA_NOT_READ(WARN, "One replica of a bad chunk could not be asked for its copy."),
  REPLICA_UNREADABLE(WARN, "One replica of a bad chunk could not read its copy."),
  PLACEMENT_UNKNOWN(WARN, "The monitors did not say where the copies of a bad chunk are."),
  OPTION_REFUSED(WARN, "librados does not know an option that we set. It works without."),
  REPLICA_READS(DEBUG, "Whether replicas are read.");

  private final Level level;
  private final String meaning;

  StoreEvent(Level level, String meaning) {
    this.level = level;
    this.meaning = meaning;
  }

  @Override
  public Level level() {
    return level;
  }

  @Override
  public String meaning() {
    return meaning;
  }
}
