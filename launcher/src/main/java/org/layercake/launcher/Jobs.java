package org.layercake.launcher;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The jobs of this node and their containers.
 *
 * <p>Calls may come in any order and more than once. What must survive the launcher is in one state
 * file per job; {@link #recover} takes it up again.
 */
final class Jobs {
  private static final Logger log = LoggerFactory.getLogger(Jobs.class);
  // A job's prolog comes before its extern step; no site lets one take longer than this.
  private static final long PROLOG_MILLIS = Duration.ofMinutes(30).toMillis();
  // Slurm's step id of the extern step, SLURM_EXTERN_CONT in slurm.h.
  private static final String EXTERN_STEP = "4294967292";

  /** What is known of a job. Guarded by itself. */
  private static final class Job {
    private String registeredSpec = "";
    private final Map<String, Container> containers = new ConcurrentHashMap<>();
    private boolean released;
    private boolean sawExternStep;
    private final long knownSinceMillis;

    private Job(long knownSinceMillis) {
      this.knownSinceMillis = knownSinceMillis;
    }
  }

  /**
   * Where an ssh session belongs.
   *
   * @param container null for the host
   * @param othersHave whether other jobs of the user here have containers
   */
  record Place(long job, Container container, boolean othersHave) {
    /** What the user might not expect; empty when there was no choice. */
    String notice() {
      if (!othersHave) {
        return "";
      }
      return container == null
          ? "this session is in job "
              + job
              + ", which has no container (other jobs of yours on this node have)"
          : "this session is in job "
              + job
              + ", in "
              + container.spec().image()
              + " (other jobs of yours on this node have containers, too)";
    }
  }

  private final Config config;
  private final CacheLayout layout;
  private final Images images;
  private final Executor workers;
  private final Map<JobKey, Job> jobs = new ConcurrentHashMap<>();

  Jobs(Config config, CacheLayout layout, Images images, Executor workers) {
    this.config = config;
    this.layout = layout;
    this.images = images;
    this.workers = workers;
  }

  /**
   * Notes a job and starts to fetch its image. A requeued job keeps its id: the last call holds.
   */
  void register(JobKey key, String specText) throws Abort {
    Spec spec = Spec.parse(specText);
    Libc.User user = user(key);
    releaseEndedJobs();
    withJob(
        key,
        job -> {
          job.registeredSpec = specText;
          save(key, job);
          return container(key, job, spec, user);
        });
    log.info("event=register job={} uid={} image={}", key.job(), key.uid(), spec.image());
  }

  /** Starts the registered container's holder; a job without one is none of our business. */
  void start(JobKey key) throws Abort {
    String spec = announcedSpec(key);
    if (!spec.isEmpty()) {
      enter(key, spec);
    }
  }

  /**
   * Gives the container of a job, preparing it when this is the first to ask.
   *
   * @param specText empty for the spec the job was registered with
   * @throws Abort when the spec is refused, or empty for a job without a container
   */
  Container enter(JobKey key, String specText) throws Abort {
    Libc.User user = user(key);
    if (!jobs.containsKey(key) && !hasExternStep(key.job())) {
      // Whose job it is the holder asks slurmstepd; nothing is fetched for a job that is not here.
      throw new Abort(
          Abort.NO_PERMISSION, "job " + key.job() + " is not on this node, or has ended here");
    }
    String wanted = specText.isEmpty() ? announcedSpec(key) : specText;
    if (wanted.isEmpty()) {
      throw new Abort(Abort.NO_INPUT, "job " + key.job() + " has no container on this node");
    }
    Spec spec = Spec.parse(wanted);
    Container container = withJob(key, job -> container(key, job, spec, user));
    CompletableFuture<Holder> unused = container.start();
    return container;
  }

  /**
   * Finds the job of an ssh session and the container it goes to.
   *
   * @param claimed the job that the session says it belongs to; 0 for none
   */
  Place ofSession(Libc.Peer peer, long claimed) throws Abort {
    JobKey key = jobOfSession(peer, claimed);
    String spec = announcedSpec(key);
    boolean othersHave =
        jobs.keySet().stream().anyMatch(k -> k.uid() == peer.uid() && !k.equals(key));
    if (spec.isEmpty()) {
      spec = newestSpec(key);
    }
    return new Place(key.job(), spec.isEmpty() ? null : enter(key, spec), othersHave);
  }

  /** What the job was announced with; empty for a job without a container of its own. */
  private String announcedSpec(JobKey key) throws Abort {
    registerIfNoted(key);
    Job job = jobs.get(key);
    if (job == null) {
      return "";
    }
    synchronized (job) {
      return job.registeredSpec;
    }
  }

  /** Takes up what a job's prolog left for a launcher that did not run at the time. */
  private void registerIfNoted(JobKey key) throws Abort {
    try {
      if (!jobs.containsKey(key)) {
        String spec = Files.readString(layout.contained(key), ISO_8859_1);
        if (!spec.isEmpty()) {
          register(key, spec);
        }
      }
    } catch (NoSuchFileException e) {
      log.trace("event=no-note job={}", key.job());
    } catch (IOException e) {
      throw new Abort(
          Abort.INTERNAL, "cannot read the spec of job " + key.job() + ": " + e.getMessage(), e);
    }
  }

  private JobKey jobOfSession(Libc.Peer peer, long claimed) {
    long adopted = SessionJob.of(peer.pid());
    JobKey key = new JobKey(adopted != 0 ? adopted : claimed, peer.uid());
    if (jobs.containsKey(key) || (key.job() != 0 && hasExternStep(key.job()))) {
      return key;
    }
    return newestOf(peer.uid()).orElse(key);
  }

  private Optional<JobKey> newestOf(long uid) {
    return jobs.keySet().stream()
        .filter(key -> key.uid() == uid)
        .max(Comparator.comparingLong(JobKey::job));
  }

  /** Of the container that was started last; empty when there is none. */
  private String newestSpec(JobKey key) {
    Job job = jobs.get(key);
    return job == null
        ? ""
        : job.containers.values().stream()
            .max(Comparator.comparingLong(Container::startTicks))
            .map(container -> container.spec().text())
            .orElse("");
  }

  /** Ends all that the job has on this node. */
  void release(long jobId) {
    for (JobKey key : jobs.keySet().stream().filter(k -> k.job() == jobId).toList()) {
      Job job = jobs.remove(key);
      if (job != null) {
        synchronized (job) {
          job.released = true;
        }
        job.containers.values().forEach(Container::close);
        log.info("event=release job={} uid={}", key.job(), key.uid());
      }
      deleteState(key);
    }
  }

  /** Takes up what an earlier launcher left; what cannot be proved whole is ended. */
  void recover() throws IOException, InterruptedException {
    images.recover();
    try (Stream<Path> files = Files.list(layout.jobs())) {
      for (Path file : files.toList()) {
        recover(file);
      }
    }
    images.open();
    releaseEndedJobs();
    takeUpNotes();
  }

  /** Hears of jobs that were announced while no launcher ran, and forgets those that have ended. */
  private void takeUpNotes() throws IOException {
    try (Stream<Path> notes = Files.list(layout.contained())) {
      for (Path note : notes.toList()) {
        try {
          JobKey key = JobKey.parse(note.getFileName().toString());
          if (hasExternStep(key.job())) {
            registerIfNoted(key);
          } else if (!jobs.containsKey(key)) {
            Files.deleteIfExists(note);
          }
        } catch (Abort | NumberFormatException e) {
          log.warn("event=note-refused note={} cause={}", note, e.getMessage());
          Files.deleteIfExists(note);
        }
      }
    }
  }

  private void recover(Path file) throws InterruptedException {
    try {
      JobState state = JobState.read(file);
      Job job = new Job(Files.getLastModifiedTime(file).toMillis());
      job.registeredSpec = state.registeredSpec();
      job.sawExternStep = !state.containers().isEmpty();
      for (JobState.Running running : state.containers()) {
        Container container = found(state.job(), running);
        if (container != null) {
          job.containers.put(running.spec(), container);
          watch(state.job(), container.start().join());
        }
      }
      jobs.put(state.job(), job);
      mark(state.job(), !job.registeredSpec.isEmpty() || !job.containers.isEmpty());
      if (job.containers.size() < state.containers().size()) {
        save(state.job(), job);
      }
      log.info(
          "event=recover job={} uid={} containers={}",
          state.job().job(),
          state.job().uid(),
          job.containers.size());
    } catch (IOException | Abort | RuntimeException e) {
      log.warn("event=recover-failed file={}", file, e);
    }
  }

  private Container found(JobKey key, JobState.Running running) throws Abort, InterruptedException {
    Holder holder;
    try {
      holder = Holder.find(running.holder());
    } catch (IOException e) {
      log.info("event=holder-gone job={} pid={}", key.job(), running.holder().pid());
      return null;
    }
    Images.Mounted image = images.mountedBefore(running.image(), running.environment(), key.uid());
    if (image == null) {
      log.warn("event=image-gone job={} image={}", key.job(), running.image());
      holder.close();
      return null;
    }
    Spec spec = Spec.parse(running.spec());
    return Container.found(key, spec, user(key), config, image, holder);
  }

  private Container container(JobKey key, Job job, Spec spec, Libc.User user) {
    return job.containers.computeIfAbsent(
        spec.text(),
        text ->
            Container.prepare(
                key,
                spec,
                user,
                config,
                images,
                workers,
                (container, holder, failure) -> settled(key, job, container, holder, failure)));
  }

  /** A container is complete, or failed and to be tried anew by whoever asks next. */
  private void settled(JobKey key, Job job, Container container, Holder holder, Throwable failure) {
    if (failure != null) {
      if (job.containers.remove(container.spec().text(), container)) {
        container.close();
        log.info(
            "event=failed job={} uid={} image={} cause={}",
            key.job(),
            key.uid(),
            container.spec().image(),
            failure.getMessage());
      }
      forgetIfIdle(key, job);
      return;
    }
    log.info(
        "event=ready job={} uid={} image={} digest={} holder={}",
        key.job(),
        key.uid(),
        container.spec().image(),
        container.image().join().key().digest(),
        holder.id().pid());
    synchronized (job) {
      job.sawExternStep = true;
    }
    save(key, job);
    watch(key, holder);
  }

  /** A holder lives in its job's extern step: its end is our sign of a lost epilog. */
  private void watch(JobKey key, Holder holder) {
    CompletableFuture<Void> unused =
        holder.onExit().thenRunAsync(() -> releaseIfEnded(key), workers);
  }

  private void releaseIfEnded(JobKey key) {
    if (jobs.containsKey(key) && !hasExternStep(key.job())) {
      log.info("event=ended-without-epilog job={}", key.job());
      release(key.job());
    }
  }

  /** Ends jobs whose epilog never came, as when the launcher was down at that moment. */
  private void releaseEndedJobs() {
    long now = System.currentTimeMillis();
    jobs.forEach(
        (key, job) -> {
          boolean prologIsOver;
          synchronized (job) {
            prologIsOver = job.sawExternStep || job.knownSinceMillis + PROLOG_MILLIS < now;
          }
          if (prologIsOver) {
            releaseIfEnded(key);
          }
        });
  }

  private boolean hasExternStep(long jobId) {
    // slurmstepd's socket is SPOOL/NODE_JOB.STEP; its name is all that says the node's Slurm name.
    String suffix = "_" + jobId + "." + EXTERN_STEP;
    try (Stream<Path> files = Files.list(config.slurmSpoolDirectory())) {
      return files.anyMatch(file -> file.getFileName().toString().endsWith(suffix));
    } catch (IOException e) {
      return true; // cannot tell: keep
    }
  }

  private void forgetIfIdle(JobKey key, Job job) {
    synchronized (job) {
      if (job.registeredSpec.isEmpty() && job.containers.isEmpty()) {
        jobs.remove(key, job);
        job.released = true;
      }
    }
  }

  /** What is done with a job of the table; it cannot leave the table meanwhile. */
  private interface Act<T> {
    T on(Job job) throws Abort;
  }

  private <T> T withJob(JobKey key, Act<T> act) throws Abort {
    while (true) {
      Job job = jobs.computeIfAbsent(key, k -> new Job(System.currentTimeMillis()));
      synchronized (job) {
        if (!job.released) {
          return act.on(job);
        }
      }
    }
  }

  private void save(JobKey key, Job job) {
    synchronized (job) {
      if (job.released) {
        return;
      }
      List<JobState.Running> running = new ArrayList<>();
      job.containers.values().stream()
          .map(Jobs::running)
          .filter(Objects::nonNull)
          .forEach(running::add);
      try {
        new JobState(key, job.registeredSpec, running).write(layout.job(key));
        mark(key, !job.registeredSpec.isEmpty() || !running.isEmpty());
      } catch (IOException e) {
        log.warn("event=save-failed job={}", key.job(), e);
      }
    }
  }

  /** Lets ssh-entry know, even when we do not run, whether the job has a container. */
  private void mark(JobKey key, boolean contained) throws IOException {
    Path marker = layout.contained(key);
    if (!contained) {
      Files.deleteIfExists(marker);
      return;
    }
    try {
      Files.createFile(marker);
    } catch (FileAlreadyExistsException e) {
      log.trace("event=marked job={}", key.job());
    }
  }

  private static JobState.Running running(Container container) {
    CompletableFuture<Images.Mounted> image = container.image();
    if (!image.isDone() || image.isCompletedExceptionally()) {
      return null;
    }
    CompletableFuture<Holder> holder = container.startedHolder();
    if (holder == null || !holder.isDone() || holder.isCompletedExceptionally()) {
      return null;
    }
    Images.Mounted mounted = image.join();
    Holder process = holder.join();
    return new JobState.Running(
        container.spec().text(), mounted.key(), mounted.environment(), process.id());
  }

  private void deleteState(JobKey key) {
    try {
      Files.deleteIfExists(layout.job(key));
      mark(key, false);
    } catch (IOException e) {
      log.warn("event=delete-failed job={}", key.job(), e);
    }
  }

  private static Libc.User user(JobKey key) throws Abort {
    Libc.User user = Libc.user(key.uid());
    if (user == null || key.uid() == 0) {
      throw new Abort(
          Abort.NO_PERMISSION,
          "cannot start a container for uid "
              + key.uid()
              + (user == null
                  ? ": no such user on this node (tell the site)"
                  : ": root has no containers (run the job as a user)"));
    }
    return user;
  }
}
