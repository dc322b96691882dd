package org.layercake.launcher.job;

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

  /** {@code JOB.UID}, the name of the job's files in the run directory. */
  @Override
  public String toString() {
    return job + "." + uid;
  }
}
