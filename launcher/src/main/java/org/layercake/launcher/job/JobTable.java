package org.layercake.launcher.job;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiConsumer;
import java.util.stream.Collectors;
import org.layercake.launcher.node.Event;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The jobs that this launcher knows of, and their files: a job of the table has its state there.
 */
final class JobTable {
  private static final Logger log = LoggerFactory.getLogger(JobTable.class);

  private final JobFiles files;
  private final Map<JobKey, Job> jobs = new ConcurrentHashMap<>();

  JobTable(JobFiles files) {
    this.files = files;
  }

  /** What is done with a job of the table; it cannot leave the table meanwhile. */
  interface Act<T, E extends Exception> {
    T on(Job job) throws E;
  }

  /** Acts on a job, which enters the table if it is not there, holding its lock. */
  <T, E extends Exception> T with(JobKey key, Act<T, E> act) throws E {
    while (true) {
      Job job = jobs.computeIfAbsent(key, Job::new);
      synchronized (job) {
        if (!job.released) {
          return act.on(job);
        }
      }
    }
  }

  boolean has(JobKey key) {
    return jobs.containsKey(key);
  }

  /** The job, or null. */
  Job get(JobKey key) {
    return jobs.get(key);
  }

  /** The user's jobs that have a container here, or will have one. */
  List<JobKey> contained(long uid) {
    List<JobKey> contained = new ArrayList<>();
    jobs.forEach(
        (key, job) -> {
          synchronized (job) {
            if (key.uid() == uid && job.isContained()) {
              contained.add(key);
            }
          }
        });
    return contained;
  }

  void forEach(BiConsumer<JobKey, Job> act) {
    jobs.forEach(act);
  }

  /** The jobs of this id, of whatever user, also such as have only a note. */
  Set<JobKey> keysOf(long jobId) {
    Set<JobKey> keys = new HashSet<>(jobs.keySet());
    try {
      keys.addAll(files.notes());
    } catch (IOException e) {
      Event.NOTES_UNREADABLE
          .on(log)
          .addKeyValue("job", jobId)
          .setCause(e)
          .log(); // containers end all the same
    }
    keys.removeIf(key -> key.job() != jobId);
    return keys;
  }

  /** The names of what jobs have changed. */
  Set<String> changes() {
    return jobs.values().stream().map(job -> job.changes).collect(Collectors.toSet());
  }

  /** How many containers all jobs of a user have. */
  int containersOf(long uid) {
    return jobs.values().stream()
        .filter(job -> job.key.uid() == uid)
        .mapToInt(job -> job.containers.size())
        .sum();
  }

  /** Lets a job in that a launcher has not heard of. */
  void add(Job job) {
    jobs.put(job.key, job);
    save(job);
  }

  /** Forgets a job of which there is nothing; whoever calls holds its lock. */
  void forgetIfIdle(Job job) {
    if (job.isIdle() && !job.released) {
      remove(job);
    }
  }

  /** The file first: once the job has left the table, another of the same key may write it. */
  void remove(Job job) {
    job.released = true;
    files.deleteState(job.key);
    jobs.remove(job.key, job);
  }

  /** Writes the job's state, if it is still in the table. */
  void save(Job job) {
    synchronized (job) {
      if (job.released) {
        return;
      }
      try {
        files.save(job.state());
      } catch (IOException e) {
        job.key.on(Event.SAVE_FAILED, log).setCause(e).log();
      }
    }
  }
}
