package org.layercake.launcher;

/** What a client may ask; docs/protocol.md says who may ask which. */
sealed interface Request {
  /** Job id as Slurm gives it, unsigned 32 bits. */
  long job();

  /** The job's spec is known and its image may be fetched (job prolog). */
  record Register(long job, long uid, String spec) implements Request {}

  /** The job's extern step exists, so its holder may start. */
  record Start(long job, long uid) implements Request {}

  /** The job has ended on this node (job epilog). */
  record Release(long job) implements Request {}

  /** Hand out the namespaces of the job's container; an empty spec means the registered one. */
  record Enter(long job, long step, String spec) implements Request {}

  /** The same for an ssh session; job is what pam_slurm_adopt picked, 0 when it said none. */
  record Session(long job) implements Request {}

  /** What the node has at this moment (root). */
  record Status(StatusReport.Form form) implements Request {
    @Override
    public long job() {
      return 0;
    }
  }
}
