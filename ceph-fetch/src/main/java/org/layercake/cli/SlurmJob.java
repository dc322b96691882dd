package org.layercake.cli;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
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

  /** The same of squeue, which keeps jobs for a while that have ended. */
  static final String PLACED;

  private static final int[] WIDTHS = {32, 64, 32, 32, 8192}; // of the fields in its lines

  static {
    String[] names = {"JobArrayID", "UserName", "State", "StartTime", "admin_comment"};
    PLACED =
        IntStream.range(0, names.length)
            .mapToObj(i -> names[i] + ":" + WIDTHS[i])
            .collect(Collectors.joining(","));
  }

  /** From a line of sacct's; empty for what is none, as the second line of a comment. */
  static Optional<SlurmJob> ofSacct(String line) {
    String[] fields = line.split(SEPARATOR, -1);
    if (fields.length != 5) {
      return Optional.empty();
    }
    return Optional.of(job(fields[0], fields[1], fields[2], fields[3], fields[4]));
  }

  /**
   * From a line of squeue's, whose fields have places; empty for what is none. Not from scontrol's,
   * which has the comment among what the job's user has written, and that can look like one.
   */
  static Optional<SlurmJob> ofSqueue(String line) {
    if (!line.matches("[0-9][0-9_+]* .*")) {
      return Optional.empty();
    }
    String[] fields = new String[WIDTHS.length];
    for (int i = 0, at = 0; i < WIDTHS.length; at += WIDTHS[i++]) {
      if (line.length() < at) {
        return Optional.empty();
      }
      fields[i] = line.substring(at, Math.min(line.length(), at + WIDTHS[i])).strip();
    }
    return Optional.of(job(fields[0], fields[1], fields[2], fields[3], fields[4]));
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
}
