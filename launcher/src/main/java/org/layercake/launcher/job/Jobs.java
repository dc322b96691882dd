package org.layercake.launcher.job;

import java.io.IOException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicLong;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Libc;
import org.layercake.launcher.node.UnixSocket;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The jobs of this node and their containers.
 *
 * <p>Calls may come in any order and more than once; what contradicts another counts by when it
 * came, not by when it is worked off. What must survive the launcher is in one state file per job;
 * {@link #recover} takes it up again.
 */
public final class Jobs {
  private static final Logger log = LoggerFactory.getLogger(Jobs.class);
  // A job's prolog comes before its extern step; no site lets one take longer than this.
  private static final long PROLOG_SECONDS = Duration.ofMinutes(30).toSeconds();

  /** What is known of a job. Guarded by itself. */
  private static final class Job {
    private String registeredSpec = "";
    private long registered; // arrival of the request that said so
    private final Map<String, Container> containers = new ConcurrentHashMap<>();
    private Libc.User user;
    private boolean released;
    private boolean sawExternStep;
    private long knownSinceSeconds;

    private Job(long knownSinceSeconds) {
      this.knownSinceSeconds = knownSinceSeconds;
    }

    /** Takes the spec that a prolog left for a launcher that did not hear of it. */
    private void announce(String noted, long arrival) {
      registeredSpec = noted;
      registered = arrival;
      sawExternStep = false;
      knownSinceSeconds = Libc.uptimeSeconds();
    }

    /** Whether it may still be in its prolog, before its extern step. */
    private boolean mayBeInProlog() {
      return !sawExternStep && knownSinceSeconds + PROLOG_SECONDS >= Libc.uptimeSeconds();
    }

    private boolean isIdle() {
      return registeredSpec.isEmpty() && containers.isEmpty();
    }
  }

  /**
   * Where an ssh session belongs.
   *
   * @param container null for the host
   * @param othersHave whether other jobs of the user here have containers
   */
  public record Place(long job, Container container, boolean othersHave) {
    /** What the user might not expect; empty when there was no choice. */
    public String notice() {
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

  private final JobSettings settings;
  private final JobFiles files;
  private final Images images;
  private final Slurm slurm;
  private final Executor workers;
  private final Map<JobKey, Job> jobs = new ConcurrentHashMap<>();
  private final Releases releases = new Releases();
  // What an earlier launcher left counts as 0, and what ends it as 1.
  private final AtomicLong arrivals = new AtomicLong(1);
  private final Object admission = new Object(); // held while containers are counted and one added

  /** Makes the jobs' directories. */
  public Jobs(JobSettings settings, Images images, Slurm slurm, Executor workers)
      throws IOException {
    this.settings = settings;
    this.files = new JobFiles(settings.runDirectory());
    this.images = images;
    this.slurm = slurm;
    this.workers = workers;
    files.prepare();
    Files.createDirectories(settings.stage());
  }

  /** When a request came: higher than that of all before it. To be asked as soon as it comes. */
  public long arrival() {
    return arrivals.incrementAndGet();
  }

  /**
   * Notes a job and starts to fetch its image. A requeued job keeps its id: the last call holds.
   *
   * @param arrival of the request: nothing happens when the job was released or registered since
   */
  public void register(JobKey key, String specText, long arrival) throws Abort {
    Spec spec = Spec.parse(specText);
    refuseRoot(key);
    releaseEndedJobs();
    boolean registered =
        withJob(
            key,
            job -> {
              if (releases.cameAfter(key.job(), arrival) || job.registered > arrival) {
                forgetIfIdle(key, job);
                return false;
              }
              job.registeredSpec = specText;
              job.registered = arrival;
              job.sawExternStep = false;
              job.knownSinceSeconds = Libc.uptimeSeconds();
              save(key, job);
              Container unused = container(key, job, spec, arrival);
              return true;
            });
    log.info(
        "event={} job={} uid={} image={}",
        registered ? "register" : "register-outdated",
        key.job(),
        key.uid(),
        spec.image());
  }

  /** Starts the registered container's holder; a job without one is none of our business. */
  public void start(JobKey key, long arrival) throws Abort {
    String spec = announcedSpec(key, arrival);
    if (!spec.isEmpty()) {
      enter(key, spec, arrival);
    }
  }

  /**
   * Gives the container of a job, preparing it when this is the first to ask.
   *
   * @param specText empty for the spec the job was registered with
   * @throws Abort when the spec is refused, or empty for a job without a container
   */
  public Container enter(JobKey key, String specText, long arrival) throws Abort {
    refuseRoot(key);
    if (!jobs.containsKey(key) && !hasExternStep(key.job())) {
      // Whose job it is the holder asks slurmstepd; nothing is fetched for a job that is not here.
      throw new Abort(
          Abort.NO_PERMISSION, "job " + key.job() + " is not on this node, or has ended here");
    }
    String announced = announcedSpec(key, arrival); // also where another one is asked for
    String wanted = specText.isEmpty() ? announced : specText;
    if (wanted.isEmpty()) {
      throw new Abort(Abort.NO_INPUT, "job " + key.job() + " has no container on this node");
    }
    Spec spec = Spec.parse(wanted);
    Container container =
        withJob(
            key,
            job -> {
              try {
                refuseReleased(key, arrival);
                return container(key, job, spec, arrival);
              } catch (Abort e) {
                forgetIfIdle(key, job);
                throw e;
              }
            });
    CompletableFuture<Holder> unused = container.start();
    return container;
  }

  private void refuseReleased(JobKey key, long arrival) throws Abort {
    if (releases.cameAfter(key.job(), arrival)) {
      throw new Abort(Abort.UNAVAILABLE, "job " + key.job() + " has ended on this node");
    }
  }

  /**
   * Finds the job of an ssh session and the container it goes to.
   *
   * @param claimed the job that the session says it belongs to; 0 for none
   */
  public Place ofSession(UnixSocket.Peer peer, long claimed, long arrival) throws Abort {
    JobKey key = jobOfSession(peer, claimed);
    String spec = announcedSpec(key, arrival);
    boolean othersHave =
        jobs.keySet().stream().anyMatch(k -> k.uid() == peer.uid() && !k.equals(key));
    if (spec.isEmpty()) {
      spec = newestSpec(key);
    }
    return new Place(key.job(), spec.isEmpty() ? null : enter(key, spec, arrival), othersHave);
  }

  /** What the job was announced with; empty for a job without a container of its own. */
  private String announcedSpec(JobKey key, long arrival) throws Abort {
    if (!jobs.containsKey(key)) {
      String noted = files.noted(key); // its prolog left it for a launcher that did not run
      if (!noted.isEmpty()) {
        register(key, noted, arrival);
      }
    }
    Job job = jobs.get(key);
    if (job == null) {
      return "";
    }
    synchronized (job) {
      return job.registeredSpec;
    }
  }

  private JobKey jobOfSession(UnixSocket.Peer peer, long claimed) {
    long adopted = SessionJob.of(peer.pid());
    JobKey key = new JobKey(adopted != 0 ? adopted : claimed, peer.uid());
    if (jobs.containsKey(key) || (key.job() != 0 && hasExternStep(key.job()))) {
      return key;
    }
    return newestOf(peer.uid()).orElse(key);
  }

  private Optional<JobKey> newestOf(long uid) {
    return jobs.keySet().stream()
        .filter(key -> key.uid() == uid && hasExternStep(key.job()))
        .max(Comparator.comparingLong(JobKey::job));
  }

  /** Of the container that was started last; empty when there is none. */
  private String newestSpec(JobKey key) {
    Job job = jobs.get(key);
    return job == null
        ? ""
        : job.containers.values().stream()
            .max(
                Comparator.comparingLong(Container::startTicks)
                    .thenComparingLong(Container::arrival))
            .map(container -> container.spec().text())
            .orElse("");
  }

  /**
   * Ends all that the job has on this node, but for what was asked for later.
   *
   * @param arrival of the request
   */
  public void release(long jobId, long arrival) {
    releases.add(jobId, arrival); // before the table is read: whoever registers sees either
    for (JobKey key : keysOf(jobId)) {
      withJob(key, job -> endOlder(key, job, arrival, job.registered > arrival))
          .forEach(Container::close);
    }
  }

  /**
   * The same for a release of which nobody knows how old it is, since its client waits no more or
   * there was none. Meanwhile the job may have been requeued and be here again: then only what is
   * left of its first run ends, and its note stays, so that no task of it runs on the host.
   *
   * @param arrival of the request
   */
  public void releaseLate(long jobId, long arrival) {
    if (hasExternStep(jobId)) {
      log.info("event=release-outdated job={}", jobId);
      return;
    }
    releases.add(jobId, arrival);
    for (JobKey key : keysOf(jobId)) {
      withJob(key, job -> endFirstRun(key, job, arrival)).forEach(Container::close);
    }
  }

  private List<Container> endFirstRun(JobKey key, Job job, long arrival) {
    if (!takeUpNewerNote(key, job)) {
      return List.of();
    }
    boolean inProlog = !job.registeredSpec.isEmpty() && job.mayBeInProlog();
    return endOlder(key, job, arrival, inProlog || job.registered > arrival);
  }

  private Set<JobKey> keysOf(long jobId) {
    Set<JobKey> keys = new HashSet<>(jobs.keySet());
    try {
      keys.addAll(files.notes());
    } catch (IOException e) {
      log.error("event=notes-unreadable job={}", jobId, e); // containers end all the same
    }
    keys.removeIf(key -> key.job() != jobId);
    return keys;
  }

  private List<Container> endOlder(JobKey key, Job job, long arrival, boolean outlived) {
    List<Container> ended =
        job.containers.values().stream().filter(c -> c.arrival() < arrival).toList();
    ended.forEach(container -> job.containers.remove(container.spec().text(), container));
    if (!outlived) {
      job.registeredSpec = "";
    }
    if (job.isIdle()) {
      leaveTable(key, job);
      files.deleteNote(key); // only here: the job is known to have ended
    } else {
      save(key, job);
    }
    if (!outlived || !ended.isEmpty()) {
      log.info("event=release job={} uid={}", key.job(), key.uid());
    }
    return ended;
  }

  /** Takes up what an earlier launcher left; what cannot be proved whole is ended. */
  public void recover() throws IOException, InterruptedException {
    files.dropStaged();
    images.recover();
    for (JobState state : files.readAll()) {
      recover(state);
    }
    images.open();
    takeUpNotes();
    releaseEndedJobs();
  }

  private void recover(JobState state) throws InterruptedException {
    JobKey key = state.job();
    Job job = new Job(state.knownSinceSeconds());
    job.registeredSpec = endedUnheard(state) ? "" : state.registeredSpec();
    job.user = state.user();
    job.sawExternStep = !state.containers().isEmpty();
    takeUpNewerNote(key, job);
    for (JobState.Running running : state.containers()) {
      try {
        Container container = found(key, job, running);
        if (container != null) {
          job.containers.put(running.spec(), container);
          watch(key, container, container.start().join());
        }
      } catch (Abort | RuntimeException e) {
        log.error("event=recover-failed job={} holder={}", key.job(), running.holder().pid(), e);
      }
    }
    if (!job.isIdle()) {
      jobs.put(key, job);
      save(key, job);
    } else {
      files.deleteState(key); // its note is kept: it may still be here, takeUpNotes will see
    }
    log.info(
        "event=recover job={} uid={} containers={}", key.job(), key.uid(), job.containers.size());
  }

  /** Whether its epilog found no launcher and took the note away, before there was a container. */
  private boolean endedUnheard(JobState state) {
    return state.containers().isEmpty()
        && files.hasNoNote(state.job())
        && !hasExternStep(state.job().job());
  }

  /** False when it cannot be read whether there is one. */
  private boolean takeUpNewerNote(JobKey key, Job job) {
    try {
      String spec = files.notedSince(key);
      if (!spec.isEmpty()) {
        job.announce(spec, arrival());
      }
      return true;
    } catch (Abort e) {
      log.error("event=notes-unreadable job={}", key.job(), e);
      return false;
    }
  }

  private Container found(JobKey key, Job job, JobState.Running running)
      throws Abort, InterruptedException {
    Holder holder;
    try {
      holder = Holder.find(running.holder());
    } catch (IOException e) {
      log.info("event=holder-gone job={} pid={}", key.job(), running.holder().pid());
      return null;
    }
    Images.Mounted image = null;
    Container container = null;
    try {
      Spec spec = Spec.parse(running.spec());
      image = images.mountedBefore(running.image(), running.environment(), key.uid());
      if (image == null) {
        log.warn("event=image-gone job={} image={}", key.job(), running.image());
        return null;
      }
      container = Container.found(key, spec, job.user, settings, image, holder, keeper(key, job));
      return container;
    } finally {
      if (container == null) {
        holder.close();
      }
      if (container == null && image != null) {
        image.close();
      }
    }
  }

  /**
   * Hears of jobs that were announced while no launcher ran. One without an extern step may be in
   * its prolog, so it stays as long as one may take.
   */
  private void takeUpNotes() throws IOException {
    for (JobKey key : files.notes()) {
      try {
        if (jobs.containsKey(key)) {
          continue;
        }
        if (hasExternStep(key.job())) {
          String unused = announcedSpec(key, arrival());
        } else {
          rememberIfInProlog(key, files.noted(key));
        }
      } catch (Abort e) {
        log.warn("event=note-refused job={} cause={}", key.job(), e.getMessage());
      }
    }
  }

  private void rememberIfInProlog(JobKey key, String spec) {
    if (spec.isEmpty()) {
      files.deleteNote(key); // not a prolog's, but of a container: its extern step is gone
      return;
    }
    Job job = new Job(Libc.uptimeSeconds());
    job.announce(spec, arrival());
    jobs.put(key, job);
    save(key, job);
  }

  private Container container(JobKey key, Job job, Spec spec, long arrival) throws Abort {
    Container there = job.containers.get(spec.text());
    if (there != null && !there.hasLostItsImage()) {
      return there;
    }
    if (there != null) { // its tasks go on with what they have, and those to come get another
      job.containers.remove(spec.text());
      there.close();
      log.info("event=container-replaced job={} uid={}", key.job(), key.uid());
    }
    synchronized (admission) {
      refuseTooMany(key, job);
      Container prepared =
          Container.prepare(key, spec, arrival, settings, images, slurm, workers, keeper(key, job));
      job.containers.put(spec.text(), prepared);
      return prepared;
    }
  }

  private void refuseTooMany(JobKey key, Job job) throws Abort {
    if (job.containers.size() >= settings.containersPerJob()) {
      throw tooMany("job " + key.job() + " has", job.containers.size());
    }
    int all = 0;
    for (Map.Entry<JobKey, Job> other : jobs.entrySet()) {
      all += other.getKey().uid() == key.uid() ? other.getValue().containers.size() : 0;
    }
    if (all >= settings.containersPerUser()) {
      throw tooMany("your jobs have", all);
    }
  }

  private static Abort tooMany(String whose, int count) {
    return new Abort(
        Abort.UNAVAILABLE,
        "cannot start another container: "
            + whose
            + " "
            + count
            + " different ones on this node, as many as the site allows (use the same image and"
            + " mounts for several steps)");
  }

  private Container.Keeper keeper(JobKey key, Job job) {
    return new Container.Keeper() {
      @Override
      public void complete(Container container, Holder holder) throws Abort {
        completed(key, job, container, holder);
      }

      @Override
      public void failed(Container container, Throwable failure) {
        dropped(key, job, container, failure);
      }
    };
  }

  private void completed(JobKey key, Job job, Container container, Holder holder) throws Abort {
    synchronized (job) {
      if (job.released || job.containers.get(container.spec().text()) != container) {
        throw new Abort(Abort.UNAVAILABLE, "cannot start the container: the job has ended");
      }
      job.sawExternStep = true;
      job.user = container.user();
      try {
        files.save(state(key, job));
      } catch (IOException e) {
        throw new Abort(
            Abort.CANNOT_CREATE,
            "cannot note the container in the node's run directory: "
                + e.getMessage()
                + " (tell the site)",
            e);
      }
    }
    log.info(
        "event=ready job={} uid={} image={} digest={} holder={}",
        key.job(),
        key.uid(),
        container.spec().image(),
        container.running().image().digest(),
        holder.id().pid());
    watch(key, container, holder);
  }

  /** A container that could not be made is to be tried anew by whoever asks next. */
  private void dropped(JobKey key, Job job, Container container, Throwable failure) {
    if (job.containers.remove(container.spec().text(), container)) {
      container.close();
      logFailure(key, container, failure);
    }
    synchronized (job) {
      forgetIfIdle(key, job);
    }
  }

  private static void logFailure(JobKey key, Container container, Throwable failure) {
    String event = "event=failed job={} uid={} image={} cause={}";
    Object[] fields = {
      key.job(), key.uid(), container.spec().image(), failure.getMessage(), failure
    };
    if (failure instanceof Abort abort && !abort.isOurs()) {
      fields[4] = null; // the user's own mistake, or the store's: the line says it all
      log.info(event, fields);
    } else {
      log.error(event, fields);
    }
  }

  /** A holder lives in its job's extern step: its end is our sign of a lost epilog. */
  private void watch(JobKey key, Container container, Holder holder) {
    // A job that was requeued meanwhile has asked later than this container's first step did.
    long arrival = container.arrival() + 1;
    CompletableFuture<Void> unused =
        holder.onExit().thenRunAsync(() -> releaseIfEnded(key, arrival), workers);
  }

  private void releaseIfEnded(JobKey key, long arrival) {
    if (jobs.containsKey(key) && !hasExternStep(key.job())) {
      log.info("event=ended-without-epilog job={}", key.job());
      releaseLate(key.job(), arrival);
    }
  }

  /** Ends jobs whose epilog never came, as when the launcher was down at that moment. */
  private void releaseEndedJobs() {
    long arrival = arrival(); // before it is asked whether they are there
    jobs.forEach(
        (key, job) -> {
          boolean prologIsOver;
          synchronized (job) {
            prologIsOver = !job.mayBeInProlog();
          }
          if (prologIsOver) {
            releaseIfEnded(key, arrival);
          }
        });
  }

  private boolean hasExternStep(long jobId) {
    return ExternStep.isHere(settings.slurmSpoolDirectory(), jobId);
  }

  /** Forgets a job of which there is nothing; whoever calls holds its lock. */
  private void forgetIfIdle(JobKey key, Job job) {
    if (job.isIdle() && !job.released) {
      leaveTable(key, job);
    }
  }

  /** The file first: once the job has left the table, another of the same key may write it. */
  private void leaveTable(JobKey key, Job job) {
    job.released = true;
    files.deleteState(key);
    jobs.remove(key, job);
  }

  /** What is done with a job of the table; it cannot leave the table meanwhile. */
  private interface Act<T, E extends Exception> {
    T on(Job job) throws E;
  }

  private <T, E extends Exception> T withJob(JobKey key, Act<T, E> act) throws E {
    while (true) {
      Job job = jobs.computeIfAbsent(key, k -> new Job(Libc.uptimeSeconds()));
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
      try {
        files.save(state(key, job));
      } catch (IOException e) {
        log.error("event=save-failed job={}", key.job(), e);
      }
    }
  }

  private static JobState state(JobKey key, Job job) {
    List<JobState.Running> running =
        job.containers.values().stream().map(Container::running).filter(Objects::nonNull).toList();
    return new JobState(key, job.registeredSpec, job.user, job.knownSinceSeconds, running);
  }

  private static void refuseRoot(JobKey key) throws Abort {
    if (key.uid() == 0) {
      throw new Abort(
          Abort.NO_PERMISSION,
          "cannot start a container for uid 0: root has no containers (run the job as a user)");
    }
  }
}
