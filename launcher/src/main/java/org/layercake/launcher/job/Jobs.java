package org.layercake.launcher.job;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongPredicate;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.UnixSocket;
import org.layercake.store.ExitCode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.spi.LoggingEventBuilder;

/**
 * The jobs of this node and their containers.
 *
 * <p>Calls may come in any order and more than once; what contradicts another counts by when it
 * came, not by when it is worked off. One state file per job keeps whatever must survive the
 * launcher; {@link #recover} takes it up again.
 */
public final class Jobs {
  private static final Logger log = LoggerFactory.getLogger(Jobs.class);

  private final JobSettings settings;
  private final JobFiles files;
  private final Images images;
  private final JobTable jobs;
  private final Changes changes;
  private final Containers containers;
  private final Placement placement;
  private final Slurm slurm;
  private final Releases releases = new Releases();
  // What an earlier launcher left counts as 0, and what ends it as 1.
  private final AtomicLong arrivals = new AtomicLong(1);

  /** Makes the jobs' directories. */
  public Jobs(JobSettings settings, Images images, Slurm slurm, Executor workers)
      throws IOException {
    this.settings = settings;
    this.files = new JobFiles(settings.runDirectory());
    this.images = images;
    this.jobs = new JobTable(files);
    this.changes = new Changes(settings.changes(), settings.changesDisk());
    this.containers =
        new Containers(
            settings, images, slurm, workers, files, jobs, changes, this::releaseIfEnded);
    this.slurm = slurm;
    this.placement =
        new Placement(
            this,
            jobs,
            new TaskRules(settings.policy(), slurm),
            new SessionJob(Path.of("/proc"), settings.slurmSpoolDirectory()),
            this::hasExternStep,
            workers);
    files.prepare();
    changes.prepare();
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
    boolean named = SpecText.namesImage(specText);
    if (!named) {
      SpecText.require(specText);
    }
    Spec spec = named ? settings.relevant(Spec.parse(specText)) : null;
    refuseRoot(key);
    releaseEndedJobs();
    boolean registered =
        jobs.with(
            key,
            job -> {
              if (releases.cameAfter(key.job(), arrival) || job.registered > arrival) {
                jobs.forgetIfIdle(job);
                return false;
              }
              slurm.forget(key.job()); // requeued, it may have another partition
              job.announce(specText, arrival);
              jobs.save(job);
              if (named) {
                Container unused = containers.of(job, spec, arrival);
              }
              return true;
            });
    if (registered && !named) {
      placement.prepareDefault(key, arrival);
    }
    LoggingEventBuilder line = key.on(registered ? Event.REGISTER : Event.REGISTER_OUTDATED, log);
    (named ? line.addKeyValue("image", spec.image()) : line).log();
  }

  /** Starts the registered container's holder; a job without one is none of our business. */
  public void start(JobKey key, long arrival) throws Abort {
    String spec = registeredSpec(key, arrival);
    if (SpecText.namesImage(spec)) {
      enter(key, spec, arrival);
    } else if (!spec.isEmpty()) {
      placement.startDefault(key, arrival);
    }
  }

  /**
   * Finds the place of a task of a job. Where the spec names no image, that may take some seconds.
   *
   * @param step as Slurm counts them
   */
  public CompletableFuture<Place> ofTask(JobKey key, long step, String specText, long arrival)
      throws Abort {
    if (specText.isEmpty() || SpecText.namesImage(specText)) {
      Place place = new Place(key.job(), enter(key, specText, arrival), false);
      return CompletableFuture.completedFuture(place);
    }
    refuseRoot(key);
    refuseAbsent(key);
    return placement.ofTask(key, step, specText, arrival);
  }

  /**
   * Finds the job of an ssh session and the container it goes to.
   *
   * @param claimed the job that the session says it belongs to; 0 for none
   */
  public CompletableFuture<Place> ofSession(UnixSocket.Peer peer, long claimed, long arrival) {
    return placement.ofSession(peer, claimed, arrival);
  }

  /**
   * Gives the container of a job, preparing it when this is the first to ask.
   *
   * @param specText empty for the spec the job was registered with
   * @throws Abort when the spec is refused, or empty for a job without a container
   */
  public Container enter(JobKey key, String specText, long arrival) throws Abort {
    refuseRoot(key);
    refuseAbsent(key);
    String registered = registeredSpec(key, arrival); // also where another one is asked for
    String wanted = !specText.isEmpty() ? specText : placement.announcedSpec(key, registered);
    if (wanted.isEmpty()) {
      throw new Abort(ExitCode.MISSING, "job " + key.job() + " has no container on this node");
    }
    Spec spec = settings.relevant(Spec.parse(wanted));
    Container container =
        jobs.with(
            key,
            job -> {
              try {
                refuseReleased(key, arrival);
                noteExternStep(job, this::hasExternStepForCertain);
                return containers.of(job, spec, arrival);
              } catch (Abort e) {
                jobs.forgetIfIdle(job);
                throw e;
              }
            });
    CompletableFuture<Holder> unused = container.start();
    return container;
  }

  /** Gives the container that takes the place of one that failed. */
  public Container enterAnew(Container failed, long arrival) throws Abort {
    return enter(failed.job(), failed.spec().text(), arrival);
  }

  private void refuseAbsent(JobKey key) throws Abort {
    if (!jobs.has(key) && !hasExternStep(key.job())) {
      // Whose job it is the holder asks slurmstepd; nothing is fetched for a job that is not here.
      throw new Abort(
          ExitCode.PERMISSION, "job " + key.job() + " is not on this node, or has ended here");
    }
  }

  private void refuseReleased(JobKey key, long arrival) throws Abort {
    if (releases.cameAfter(key.job(), arrival)) {
      throw new Abort(ExitCode.UNAVAILABLE, "job " + key.job() + " has ended on this node");
    }
  }

  /** What the job was announced with, which may leave the image to the site; empty for nothing. */
  String registeredSpec(JobKey key, long arrival) throws Abort {
    if (!jobs.has(key)) {
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

  /**
   * Ends all that the job has on this node, but for what was asked for later.
   *
   * @param arrival of the request
   */
  public void release(long jobId, long arrival) {
    slurm.forget(jobId);
    releases.add(jobId, arrival); // before the table is read: whoever registers sees either
    for (JobKey key : jobs.keysOf(jobId)) {
      jobs.with(key, job -> endOlder(job, arrival, job.registered > arrival))
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
    slurm.forget(jobId);
    if (hasExternStep(jobId)) {
      Event.RELEASE_OUTDATED.on(log).addKeyValue("job", jobId).log();
      return;
    }
    releases.add(jobId, arrival);
    for (JobKey key : jobs.keysOf(jobId)) {
      jobs.with(key, job -> endFirstRun(job, arrival)).forEach(Container::close);
    }
  }

  private List<Container> endFirstRun(Job job, long arrival) {
    if (!takeUpNewerNote(job)) {
      return List.of();
    }
    boolean inProlog = !job.registeredSpec.isEmpty() && job.mayBeInProlog();
    return endOlder(job, arrival, inProlog || job.registered > arrival);
  }

  private List<Container> endOlder(Job job, long arrival, boolean outlived) {
    List<Container> ended =
        job.containers.values().stream().filter(c -> c.arrival() < arrival).toList();
    ended.forEach(container -> job.containers.remove(container.spec().text(), container));
    job.closeOrphans();
    if (job.containers.isEmpty()) {
      containers.endChanges(job);
    }
    if (!outlived) {
      job.registeredSpec = "";
    }
    if (job.isIdle()) {
      jobs.remove(job);
      files.deleteNote(job.key); // only here: the job is known to have ended
    } else {
      jobs.save(job);
    }
    if (!outlived || !ended.isEmpty()) {
      job.key.on(Event.RELEASE, log).log();
    }
    return ended;
  }

  /** What the node has at this moment. */
  public NodeStatus status() {
    return containers.status();
  }

  /** Takes up what an earlier launcher left; what cannot be proved whole is ended. */
  public void recover() throws IOException, InterruptedException {
    files.dropStaged();
    images.recover();
    for (JobState state : files.readAll()) {
      recover(state);
    }
    images.open();
    changes.endAllBut(jobs.changes());
    takeUpNotes();
    releaseEndedJobs();
  }

  private void recover(JobState state) throws InterruptedException {
    JobKey key = state.job();
    Job job = new Job(state);
    if (endedUnheard(state)) {
      job.registeredSpec = "";
    }
    boolean unused = takeUpNewerNote(job);
    for (JobState.Running running : state.containers()) {
      containers.takeUp(job, running);
    }
    if (!job.isIdle()) {
      jobs.add(job);
    } else {
      files.deleteState(key); // its note is kept: it may still be here, takeUpNotes will see
    }
    key.on(Event.RECOVER, log).addKeyValue("containers", job.containers.size()).log();
  }

  /** Whether its epilog found no launcher and took the note away, before there was a container. */
  private boolean endedUnheard(JobState state) {
    return state.containers().isEmpty()
        && files.hasNoNote(state.job())
        && !hasExternStep(state.job().job());
  }

  /** False when it cannot be read whether there is one. */
  private boolean takeUpNewerNote(Job job) {
    try {
      String spec = files.notedSince(job.key);
      if (!spec.isEmpty()) {
        job.announce(spec, arrival());
      }
      return true;
    } catch (Abort e) {
      job.key.on(Event.NOTES_UNREADABLE, log).setCause(e).log();
      return false;
    }
  }

  /**
   * Hears of jobs that were announced while no launcher ran. One without an extern step may be in
   * its prolog, so it stays as long as one may take.
   */
  private void takeUpNotes() throws IOException {
    for (JobKey key : files.notes()) {
      try {
        if (jobs.has(key)) {
          continue;
        }
        if (hasExternStep(key.job())) {
          String unused = registeredSpec(key, arrival());
        } else {
          rememberIfInProlog(key, files.noted(key));
        }
      } catch (Abort e) {
        key.on(Event.NOTE_REFUSED, log).addKeyValue("cause", e.getMessage()).log();
      }
    }
  }

  private void rememberIfInProlog(JobKey key, String spec) {
    if (spec.isEmpty()) {
      files.deleteNote(key); // not a prolog's, but of a container: its extern step is gone
      return;
    }
    Job job = new Job(key);
    job.announce(spec, arrival());
    jobs.add(job);
  }

  private void releaseIfEnded(JobKey key, long arrival) {
    if (jobs.has(key) && !hasExternStep(key.job())) {
      key.on(Event.ENDED_WITHOUT_EPILOG, log).log();
      releaseLate(key.job(), arrival);
    }
  }

  /** Ends jobs whose epilog never came, as when the launcher was down at that moment. */
  private void releaseEndedJobs() {
    long arrival = arrival(); // before it is asked whether they are there
    Set<Long> here = ExternStep.jobs(settings.slurmSpoolDirectory());
    jobs.forEach(
        (key, job) -> {
          boolean prologIsOver;
          synchronized (job) {
            noteExternStep(job, here::contains);
            prologIsOver = !job.mayBeInProlog();
          }
          if (prologIsOver) {
            releaseIfEnded(key, arrival);
          }
        });
  }

  /** From now on its extern step's absence means its end. Whoever calls holds the job's lock. */
  private void noteExternStep(Job job, LongPredicate isHere) {
    if (job.mayBeInProlog() && isHere.test(job.key.job())) {
      job.endProlog();
      jobs.save(job);
    }
  }

  private boolean hasExternStep(long jobId) {
    return ExternStep.isHere(settings.slurmSpoolDirectory(), jobId);
  }

  private boolean hasExternStepForCertain(long jobId) {
    return ExternStep.jobs(settings.slurmSpoolDirectory()).contains(jobId);
  }

  private static void refuseRoot(JobKey key) throws Abort {
    if (key.uid() == 0) {
      throw new Abort(
          ExitCode.PERMISSION,
          "cannot start a container for uid 0: root has no containers (run the job as a user)");
    }
  }
}
