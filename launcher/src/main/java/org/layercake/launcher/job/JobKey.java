package org.layercake.launcher.job;

import org.layercake.launcher.node.Event;
import org.slf4j.Logger;
import org.slf4j.event.Level;
import org.slf4j.spi.LoggingEventBuilder;

/**
 * A job as one user claims it. The uid is part of the key, so a false claim on somebody's job is an
 * entry of its own, which slurmstepd will refuse, and never stands in the owner's way.
 */
public record JobKey(long job, long uid) {
  /**
   * The opposite of {@link #toString}.
   *
   * @throws NumberFormatException when it is not JOB.UID
   */
  static JobKey parse(String text) {
    int dot = text.indexOf('.');
    return new JobKey(
        Long.parseLong(text.substring(0, Math.max(dot, 0))),
        Long.parseLong(text.substring(dot + 1)));
  }

  /** A line of the log that is about the job. */
  LoggingEventBuilder on(Event event, Logger log) {
    return on(event, log, event.level());
  }

  /** The same at another level than the event's. */
  LoggingEventBuilder on(Event event, Logger log, Level level) {
    return event.on(log, level).addKeyValue("job", job).addKeyValue("uid", uid);
  }

  /** {@code JOB.UID}, the name of the job's files in the run directory. */
  @Override
  public String toString() {
    return job + "." + uid;
  }
}
