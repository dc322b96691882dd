package org.layercake.cli;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.layercake.store.Text;

/**
 * A job as Slurm tells of it.
 *
 * @param id as squeue names it
 * @param comment its AdminComment, which only administrators can write
 */
record SlurmJob(String id, String user, String state, Optional<Instant> started, String comment) {
  /** Between fields of sacct's lines: no text that people write has it. */
  static final String SEPARATOR = "\u001f";

  /** What sacct is asked for, in this order. */
  static final String FIELDS = "JobID,User,State,Start,AdminComment";

  /** From a line of sacct's; empty for what is none, as the second line of a comment. */
  static Optional<SlurmJob> ofSacct(String line) {
    String[] fields = line.split(SEPARATOR, -1);
    if (fields.length != 5) {
      return Optional.empty();
    }
    return Optional.of(job(fields[0], fields[1], fields[2], fields[3], fields[4]));
  }

  /** From a line of {@code scontrol --oneliner show job}; empty for what is none. */
  static Optional<SlurmJob> ofScontrol(String line) {
    if (!line.startsWith("JobId=")) {
      return Optional.empty();
    }
    String array = value(line, "ArrayJobId");
    String task = value(line, "ArrayTaskId");
    boolean isTask = !array.isEmpty() && task.matches("[0-9]+");
    return Optional.of(
        job(
            isTask ? array + "_" + task : line.substring("JobId=".length()).split(" ", 2)[0],
            value(line, "UserId").replaceFirst("\\(.*", ""),
            value(line, "JobState"),
            value(line, "StartTime"),
            value(line, "AdminComment")));
  }

  private static SlurmJob job(
      String id, String user, String state, String started, String comment) {
    String word = state.split(" ", 2)[0]; // not by whom it was cancelled
    return new SlurmJob(Text.clean(id), Text.clean(user), Text.clean(word), time(started), comment);
  }

  /** Slurm was asked in UTC. */
  private static Optional<Instant> time(String text) {
    try {
      return Optional.of(LocalDateTime.parse(text).toInstant(ZoneOffset.UTC));
    } catch (DateTimeException e) {
      return Optional.empty(); // "Unknown", say
    }
  }

  private static String value(String line, String key) {
    Matcher matcher = Pattern.compile(" " + key + "=(\\S+)").matcher(line);
    return matcher.find() ? matcher.group(1) : "";
  }
}
