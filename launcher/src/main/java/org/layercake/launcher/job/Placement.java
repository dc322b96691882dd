package org.layercake.launcher.job;

import java.util.Comparator;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.function.LongPredicate;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.UnixSocket;
import org.layercake.policy.HostTask;
import org.layercake.store.ExitCode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Finds where tasks and ssh sessions of jobs belong: in which container, or on the host. */
final class Placement {
  // As slurm.h has them: SLURM_BATCH_SCRIPT, and SLURM_INTERACTIVE_STEP, salloc's on a node.
  private static final long BATCH_SCRIPT = 0xfffffffbL;
  private static final long SHELL = 0xfffffffaL;

  // As many clients as one user may have: who hangs up leaves his thread to wait for Slurm.
  private static final int MAX_FINDINGS_OF_USER = 1024;

  private static final Logger log = LoggerFactory.getLogger(Placement.class);

  private final Jobs jobs;
  private final JobTable table;
  private final TaskRules rules;
  private final SessionJob sessionJob;
  private final LongPredicate isHere;
  private final Executor workers;
  private final Map<Long, Integer> findings = new ConcurrentHashMap<>(); // under way, by uid

  /**
   * Finds nothing yet.
   *
   * @param isHere whether a job has its extern step on this node
   */
  Placement(
      Jobs jobs,
      JobTable table,
      TaskRules rules,
      SessionJob sessionJob,
      LongPredicate isHere,
      Executor workers) {
    this.jobs = jobs;
    this.table = table;
    this.rules = rules;
    this.sessionJob = sessionJob;
    this.isHere = isHere;
    this.workers = workers;
  }

  /**
   * The spec of the job's own container, or of the one that the site has for it; empty when it has
   * none. May take some seconds.
   *
   * @param registered what the job was announced with
   */
  String announcedSpec(JobKey key, String registered) throws Abort {
    Job job = table.get(key);
    if (registered.isEmpty() || SpecText.namesImage(registered) || job == null) {
      return SpecText.namesImage(registered) ? registered : "";
    }
    String spec = job.complete(() -> rules.complete(key, registered));
    synchronized (job) {
      if (!spec.isEmpty() && job.registeredSpec.equals(registered)) {
        job.registeredSpec = spec; // the job keeps it, whatever becomes of the rules
        table.save(job);
      }
    }
    return spec;
  }

  /** For a job that was announced without an image: has the site's fetched, if it has one. */
  void prepareDefault(JobKey key, long arrival) {
    inBackground(key, arrival, spec -> jobs.register(key, spec, arrival));
  }

  /** The same when its container may start. */
  void startDefault(JobKey key, long arrival) {
    inBackground(key, arrival, spec -> jobs.enter(key, spec, arrival));
  }

  private interface Act {
    void with(String spec) throws Abort;
  }

  private void inBackground(JobKey key, long arrival, Act act) {
    workers.execute(
        () -> {
          try {
            String spec = announcedSpec(key, jobs.registeredSpec(key, arrival));
            if (!spec.isEmpty()) {
              act.with(spec);
            }
          } catch (Abort e) { // whoever asks next hears it
            key.on(Event.DEFAULT_REFUSED, log).addKeyValue("cause", e.getMessage()).log();
          }
        });
  }

  /** The place of a task whose spec names no image; the site's rules say where. */
  CompletableFuture<Place> ofTask(JobKey key, long step, String own, long arrival) {
    return later(key.uid(), () -> find(key, task(step), own, arrival));
  }

  private static HostTask task(long step) {
    return step == BATCH_SCRIPT ? HostTask.BATCH : step == SHELL ? HostTask.SHELL : HostTask.STEP;
  }

  private Place find(JobKey key, HostTask task, String own, long arrival) throws Abort {
    if (!own.equals(SpecText.HOST)) {
      String spec = specOf(key, own, arrival);
      boolean inside = task == HostTask.STEP || SpecText.hasBatchInside(spec);
      if (!spec.isEmpty() && inside) {
        return new Place(key.job(), jobs.enter(key, spec, arrival), false);
      }
    }
    rules.requireHost(key, task);
    return new Place(key.job(), null, false);
  }

  /** That of the job, with what the task asks for added; empty when there is none. */
  private String specOf(JobKey key, String own, long arrival) throws Abort {
    String announced = announcedSpec(key, jobs.registeredSpec(key, arrival));
    if (!announced.isEmpty()) {
      return SpecText.merge(announced, own);
    }
    return SpecText.needsImage(own) ? rules.complete(key, own) : "";
  }

  /** The place of an ssh session. */
  CompletableFuture<Place> ofSession(UnixSocket.Peer peer, long claimed, long arrival) {
    return later(peer.uid(), () -> find(peer, claimed, arrival));
  }

  private Place find(UnixSocket.Peer peer, long claimed, long arrival) throws Abort {
    JobKey key = jobOf(peer, claimed);
    String spec = announcedSpec(key, jobs.registeredSpec(key, arrival));
    boolean othersHave = table.contained(peer.uid()).stream().anyMatch(k -> !k.equals(key));
    if (spec.isEmpty()) {
      spec = newestSpec(key);
    }
    if (spec.isEmpty()) {
      rules.requireHost(key, HostTask.SSH);
      return new Place(key.job(), null, othersHave);
    }
    return new Place(key.job(), jobs.enter(key, spec, arrival), othersHave);
  }

  private JobKey jobOf(UnixSocket.Peer peer, long claimed) {
    long adopted = sessionJob.of(peer.pid());
    JobKey key = new JobKey(adopted != 0 ? adopted : claimed, peer.uid());
    if (table.has(key) || (key.job() != 0 && isHere.test(key.job()))) {
      return key;
    }
    return newestOf(peer.uid()).orElse(key);
  }

  private Optional<JobKey> newestOf(long uid) {
    return table.contained(uid).stream()
        .filter(key -> isHere.test(key.job()))
        .max(Comparator.comparingLong(JobKey::job));
  }

  /** Of the container that was started last; empty when there is none. */
  private String newestSpec(JobKey key) {
    Job job = table.get(key);
    return job == null
        ? ""
        : job.containers.values().stream()
            .max(
                Comparator.comparingLong(Container::startTicks)
                    .thenComparingLong(Container::arrival))
            .map(container -> container.spec().text())
            .orElse("");
  }

  /** Where something is found out. */
  private interface Finding {
    Place find() throws Abort;
  }

  /** By a worker, since Slurm may have to be asked. */
  private CompletableFuture<Place> later(long uid, Finding finding) {
    if (findings.merge(uid, 1, Integer::sum) > MAX_FINDINGS_OF_USER) {
      ended(uid);
      return CompletableFuture.failedFuture(
          new Abort(
              ExitCode.TEMPORARY,
              "cannot find where this task belongs: "
                  + MAX_FINDINGS_OF_USER
                  + " others of yours wait for Slurm's answer (try again)"));
    }
    try {
      return CompletableFuture.supplyAsync(() -> found(uid, finding), workers);
    } catch (RuntimeException | Error e) { // no thread, say
      ended(uid);
      throw e;
    }
  }

  private Place found(long uid, Finding finding) {
    try {
      return finding.find();
    } catch (Abort e) {
      throw new CompletionException(e);
    } finally {
      ended(uid);
    }
  }

  private void ended(long uid) {
    findings.computeIfPresent(uid, (u, count) -> count == 1 ? null : count - 1);
  }
}
