package org.layercake.launcher.job;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Libc;
import org.layercake.store.ExitCode;

/** What is known of a job of this node. Guarded by itself, but for its key. */
final class Job {
  // A job's prolog comes before its extern step; no site lets one take longer than this.
  private static final long PROLOG_SECONDS = Duration.ofMinutes(30).toSeconds();

  final JobKey key;
  final Map<String, Container> containers = new ConcurrentHashMap<>(); // by spec; read by any
  // What tasks still read whose container's holder has ended; a launcher that was there has none.
  final Map<JobState.Running, ContainerImages> orphans = new ConcurrentHashMap<>();
  String registeredSpec = "";
  long registered; // arrival of the request that said so
  Libc.User user;
  boolean released; // it has left the table
  String changes = ""; // as in JobState
  private Once<String> completion = new Once<>(); // of a registered spec without image
  private long prologUntilSeconds; // as in JobState

  Job(JobKey key) {
    this.key = key;
    beginProlog();
  }

  /** A job as an earlier launcher left it, without its containers. */
  Job(JobState state) {
    this.key = state.job();
    this.prologUntilSeconds = state.prologUntilSeconds();
    this.registeredSpec = state.registeredSpec();
    this.user = state.user();
    this.changes = state.changes();
  }

  /** Takes the spec of a job that is in its prolog. */
  void announce(String spec, long arrival) {
    registeredSpec = spec;
    registered = arrival;
    completion = new Once<>();
    beginProlog();
  }

  /** Whether it may still be in its prolog, before its extern step. */
  boolean mayBeInProlog() {
    return prologUntilSeconds >= Libc.uptimeSeconds();
  }

  private void beginProlog() {
    prologUntilSeconds = Libc.uptimeSeconds() + PROLOG_SECONDS;
  }

  /** To be said when the job was seen to have its extern step. */
  void endProlog() {
    prologUntilSeconds = 0;
  }

  /** The name for {@link Changes}: a requeued job has the same key, and begins with none. */
  String changes() {
    if (changes.isEmpty()) {
      changes = key + "." + System.nanoTime();
    }
    return changes;
  }

  /** Finds the spec of a job that names no image, once; whoever asks second waits. */
  String complete(Callable<String> find) throws Abort {
    Once<String> mine;
    synchronized (this) {
      mine = completion;
    }
    try {
      return mine.get(find);
    } catch (ExecutionException e) {
      throw Abort.of(e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Abort(ExitCode.UNAVAILABLE, "interrupted", e);
    }
  }

  /** Whether it has a container here, or will have one. */
  boolean isContained() {
    return !containers.isEmpty() || SpecText.namesImage(registeredSpec);
  }

  boolean isIdle() {
    return registeredSpec.isEmpty() && containers.isEmpty() && orphans.isEmpty();
  }

  void closeOrphans() {
    orphans.values().forEach(ContainerImages::close);
    orphans.clear();
  }

  /** What a later launcher must know of it. */
  JobState state() {
    Stream<JobState.Running> whole = containers.values().stream().map(Container::running);
    List<JobState.Running> running =
        Stream.concat(whole.filter(Objects::nonNull), orphans.keySet().stream()).toList();
    return new JobState(key, registeredSpec, user, changes, prologUntilSeconds, running);
  }
}
