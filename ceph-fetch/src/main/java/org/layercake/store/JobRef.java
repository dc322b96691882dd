package org.layercake.store;

import java.time.Instant;
import java.util.Optional;

/**
 * A job, as far as it matters which image it runs.
 *
 * @param cluster its name in Slurm: one store may serve several clusters
 * @param uid whose job it is said to be; a false claim has a record of its own
 * @param submitted when the job was submitted, if that is known and the job was not requeued since:
 *     then an older record is of another job that had the same id. It is only asked where there is
 *     a record that is not new, may block, and may throw what ends the look-up.
 */
public record JobRef(String cluster, long job, long uid, Submitted submitted) {
  /** Says when a job was submitted. */
  public interface Submitted {
    Optional<Instant> time() throws StoreException;
  }

  /** Of a job of which nobody can say when it was submitted: any record is taken for its own. */
  public JobRef(String cluster, long job, long uid) {
    this(cluster, job, uid, Optional::empty);
  }

  /** For messages. */
  @Override
  public String toString() {
    return "job " + job;
  }
}
