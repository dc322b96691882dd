package org.layercake.launcher.job;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.store.ExitCode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;
import org.slf4j.spi.LoggingEventBuilder;

/**
 * Makes the containers of jobs, within the site's limits, and finds those of an earlier launcher.
 * Whoever calls for a job holds its lock.
 */
final class Containers {
  private static final Logger log = LoggerFactory.getLogger(Containers.class);

  private final JobSettings settings;
  private final Images images;
  private final Slurm slurm;
  private final Executor workers;
  private final JobFiles files;
  private final JobTable table;
  private final HolderEnd onHolderEnd;
  private final Changes changes;
  private final ChangesRoom room;
  private final JobComments comments;
  private final Starts starts = new Starts();
  private final Object admission = new Object(); // held while containers are counted and one added

  /** Told that a holder has ended of which the job may not know. */
  interface HolderEnd {
    /**
     * Is called by a worker.
     *
     * @param arrival that of a request that would have ended the container
     */
    void accept(JobKey key, long arrival);
  }

  Containers(
      JobSettings settings,
      Images images,
      Slurm slurm,
      Executor workers,
      JobFiles files,
      JobTable table,
      Changes changes,
      HolderEnd onHolderEnd) {
    this.settings = settings;
    this.images = images;
    this.slurm = slurm;
    this.workers = workers;
    this.files = files;
    this.table = table;
    this.onHolderEnd = onHolderEnd;
    this.changes = changes;
    this.comments = new JobComments(slurm, images);
    this.room = new ChangesRoom(settings.slurmSpoolDirectory(), settings.changesDisk());
  }

  /** The job's container of this spec, made when there is none whose images can be read. */
  Container of(Job job, Spec spec, long arrival) throws Abort {
    Container there = job.containers.get(spec.text());
    if (there != null && !there.hasLostAnImage()) {
      return there;
    }
    if (there != null) { // its tasks go on with what they have, and those to come get another
      job.containers.remove(spec.text());
      there.close();
      job.key.on(Event.CONTAINER_REPLACED, log).log();
    }
    synchronized (admission) {
      refuseTooMany(job);
      Container prepared =
          Container.prepare(job.key, spec, arrival, settings, images, slurm, workers, keeper(job));
      job.containers.put(spec.text(), prepared);
      return prepared;
    }
  }

  private void refuseTooMany(Job job) throws Abort {
    if (job.containers.size() >= settings.containersPerJob()) {
      throw tooMany("job " + job.key.job() + " has", job.containers.size());
    }
    int all = table.containersOf(job.key.uid());
    if (all >= settings.containersPerUser()) {
      throw tooMany("your jobs have", all);
    }
  }

  private static Abort tooMany(String whose, int count) {
    return new Abort(
        ExitCode.UNAVAILABLE,
        "cannot start another container: "
            + whose
            + " "
            + count
            + " different ones on this node, as many as the site allows (use the same image and"
            + " mounts for several steps)");
  }

  private Container.Keeper keeper(Job job) {
    return new Container.Keeper() {
      @Override
      public Path root(Container container, Images.Mounted image)
          throws Abort, InterruptedException {
        return rootOf(job, container, image);
      }

      @Override
      public void complete(Container container, Holder holder) throws Abort {
        completed(job, container, holder);
      }

      @Override
      public void failed(Container container, Throwable failure) {
        dropped(job, container, failure);
      }
    };
  }

  private Path rootOf(Job job, Container container, Images.Mounted image)
      throws Abort, InterruptedException {
    if (!container.spec().isWritable()) {
      return image.directory();
    }
    String name;
    synchronized (job) {
      refuseEnded(job, container);
      name = job.changes();
    }
    long bytes = room.of(job.key.job(), container.spec().writableBytes());
    Path root = changes.root(name, image, job.key.uid(), container.user().gid(), bytes);
    synchronized (job) {
      if (!name.equals(job.changes)) { // it ended while they were made
        changes.end(name);
      }
      refuseEnded(job, container);
    }
    return root;
  }

  private static void refuseEnded(Job job, Container container) throws Abort {
    if (job.released || job.containers.get(container.spec().text()) != container) {
      throw new Abort(ExitCode.UNAVAILABLE, "cannot start the container: the job has ended");
    }
  }

  private void completed(Job job, Container container, Holder holder) throws Abort {
    synchronized (job) {
      refuseEnded(job, container);
      job.endProlog();
      job.user = container.user();
      try {
        files.save(job.state());
      } catch (IOException e) {
        throw new Abort(
            ExitCode.FULL,
            "cannot record the container in the node's run directory: "
                + e.getMessage()
                + " (tell the site)",
            e);
      }
    }
    ContainerStart start = container.started();
    start.in(job.key.on(Event.READY, log)).addKeyValue("holder", holder.id().pid()).log();
    container.logData();
    starts.ready(start.millis());
    comments.note(start);
    watch(job.key, container, holder);
  }

  /** A container that could not be made is to be tried anew by whoever asks next. */
  private void dropped(Job job, Container container, Throwable failure) {
    if (job.containers.remove(container.spec().text(), container)) {
      container.close();
      starts.failed(Abort.of(failure).exitCode());
      logFailure(job.key, container, failure);
    }
    synchronized (job) {
      table.forgetIfIdle(job);
      if (job.released) {
        endChanges(job);
      }
    }
  }

  NodeStatus status() {
    List<NodeStatus.OfContainer> all = new ArrayList<>();
    Set<JobKey> jobs = new HashSet<>();
    table.forEach(
        (key, job) -> {
          jobs.add(key);
          job.containers.values().forEach(container -> all.add(container.status()));
        });
    all.sort(Comparator.comparingLong(NodeStatus.OfContainer::job));
    Starts.Counts counts = starts.counts();
    return new NodeStatus(
        all, jobs.size(), counts.byCode(), counts.upTo(), counts.millis(), images.status());
  }

  /** Whoever calls holds the job's lock. */
  void endChanges(Job job) {
    if (!job.changes.isEmpty()) {
      changes.end(job.changes);
      job.changes = "";
    }
  }

  private static void logFailure(JobKey key, Container container, Throwable failure) {
    boolean ours = !(failure instanceof Abort abort) || abort.isOurs();
    LoggingEventBuilder line =
        key.on(Event.FAILED, log, ours ? Level.ERROR : Level.INFO)
            .addKeyValue("image", container.spec().image())
            .addKeyValue("cause", failure.getMessage());
    // The user's own mistake, or the store's: the line says it all.
    (ours ? line.setCause(failure) : line).log();
  }

  /** A holder lives in its job's extern step: its end is our sign of a lost epilog. */
  private void watch(JobKey key, Container container, Holder holder) {
    // A job that was requeued meanwhile has asked later than this container's first step did.
    long arrival = container.arrival() + 1;
    CompletableFuture<Void> unused =
        holder.onExit().thenRunAsync(() -> onHolderEnd.accept(key, arrival), workers);
  }

  /**
   * Puts a container that an earlier launcher completed among the job's, if it is whole. Its holder
   * or its image may have ended meanwhile.
   */
  void takeUp(Job job, JobState.Running running) throws InterruptedException {
    try {
      Container container = find(job, running);
      if (container != null) {
        job.containers.put(running.spec(), container);
        watch(job.key, container, container.start().join());
      }
    } catch (Abort | RuntimeException e) {
      job.key
          .on(Event.RECOVER_FAILED, log)
          .addKeyValue("holder", running.holder().pid())
          .setCause(e)
          .log();
    }
  }

  /** For tasks that are still in a container which nobody can enter any more. */
  private void keepImages(Job job, JobState.Running running) throws Abort, InterruptedException {
    if (!ExternStep.isHere(settings.slurmSpoolDirectory(), job.key.job())) {
      return;
    }
    ContainerImages mounted = ContainerImages.mountedBefore(images, running, job.key.uid());
    if (mounted != null) {
      job.orphans.put(running, mounted);
    }
  }

  private Container find(Job job, JobState.Running running) throws Abort, InterruptedException {
    Holder holder;
    try {
      holder = Holder.find(running.holder());
    } catch (IOException e) {
      job.key.on(Event.HOLDER_GONE, log).addKeyValue("pid", running.holder().pid()).log();
      keepImages(job, running);
      return null;
    }
    ContainerImages mounted = null;
    Container container = null;
    try {
      Spec spec = Spec.parse(running.spec());
      mounted = ContainerImages.mountedBefore(images, running, job.key.uid());
      if (mounted == null || !mounted.data().equals(running.data())) {
        job.key
            .on(Event.IMAGE_GONE, log)
            .addKeyValue("domain", running.image().domain())
            .addKeyValue("digest", running.image().digest())
            .log();
        return null;
      }
      container = Container.found(job.key, spec, job.user, settings, mounted, holder, keeper(job));
      return container;
    } finally {
      if (container == null) {
        holder.close();
      }
      if (container == null && mounted != null) {
        mounted.close();
      }
    }
  }
}
