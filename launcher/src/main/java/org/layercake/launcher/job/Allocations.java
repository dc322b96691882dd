package org.layercake.launcher.job;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.layercake.store.StoreException;

/** What Slurm has given to jobs. It is asked once for each. */
final class Allocations {
  private static final int MAX_JOBS = 4096; // then those of which nobody has asked for longest go

  /** Asks Slurm. */
  interface Question {
    Slurm.Allocation of(long job) throws StoreException;
  }

  private final Question question;
  private final Map<Long, Once<Slurm.Allocation>> asked = // guarded by this
      new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, Once<Slurm.Allocation>> eldest) {
          return size() > MAX_JOBS;
        }
      };

  Allocations(Question question) {
    this.question = question;
  }

  /** Whoever asks second waits for the answer to the first. */
  Slurm.Allocation of(long job) throws StoreException {
    Once<Slurm.Allocation> answer;
    synchronized (this) {
      answer = asked.computeIfAbsent(job, j -> new Once<>());
    }
    try {
      return answer.get(() -> question.of(job));
    } catch (ExecutionException e) {
      throw e.getCause() instanceof StoreException failure
          ? failure
          : new StoreException(StoreException.Kind.INTERNAL, String.valueOf(e.getCause()), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new StoreException(StoreException.Kind.UNAVAILABLE, "interrupted", e);
    }
  }

  /** A job that is requeued may come to another partition. */
  synchronized void forget(long job) {
    asked.remove(job);
  }
}
