package org.layercake.launcher.job;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import org.layercake.launcher.device.DeviceName;
import org.layercake.launcher.edit.Given;
import org.layercake.launcher.image.Images;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Event;
import org.layercake.launcher.node.Libc;
import org.layercake.launcher.profile.ProfileChange;
import org.layercake.store.ExitCode;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.spi.LoggingEventBuilder;

/**
 * A job's container of one spec on this node: first its images, then its holder. Both are futures,
 * so whoever asks second waits for the work of the first. Whatever is thrown completes them.
 */
public final class Container implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Container.class);
  private static final int MAX_ENVIRONMENT_BYTES = 65_000; // which clients get in one frame
  private static final long END_MILLIS = 200; // a mount breaks a moment before its server is gone

  private final JobKey job;
  private final Spec spec;
  private final long arrival;
  private final JobSettings settings;
  private final Executor workers;
  private final Keeper keeper;
  private final CompletableFuture<ContainerImages> images = new CompletableFuture<>();
  private CompletableFuture<Holder> holder; // guarded by this
  private boolean closed; // guarded by this
  private volatile Libc.User user; // once the images are there
  private volatile Given given = Given.NOTHING; // as well
  private volatile List<String> mountRules = List.of(); // as well
  private volatile Holder running; // once it is in the job's state, or about to be
  private volatile boolean mayBeTriedAgain; // before the holder fails
  private volatile String progress = "";
  private final ContainerTimes times = new ContainerTimes();

  /** Whoever has the container; called from a worker, without a lock of the container's. */
  interface Keeper {
    /** The directory that becomes the container's root: the image, or the job's changes to it. */
    Path root(Container container, Images.Mounted image) throws Abort, InterruptedException;

    /**
     * Makes the container known to a later launcher.
     *
     * @throws Abort when that cannot be done, or the job has ended: the container then ends
     */
    void complete(Container container, Holder holder) throws Abort;

    /** Told once, when it cannot be had; whoever asks next tries anew. */
    void failed(Container container, Throwable failure);
  }

  private Container(
      JobKey job, Spec spec, long arrival, JobSettings settings, Executor workers, Keeper keeper) {
    this.job = job;
    this.spec = spec;
    this.arrival = arrival;
    this.settings = settings;
    this.workers = workers;
    this.keeper = keeper;
  }

  /**
   * Starts to make the images ready, in the background.
   *
   * @param arrival of the request that asked for it
   */
  static Container prepare(
      JobKey job,
      Spec spec,
      long arrival,
      JobSettings settings,
      Images images,
      Slurm slurm,
      Executor workers,
      Keeper keeper) {
    Container container = new Container(job, spec, arrival, settings, workers, keeper);
    try {
      workers.execute(() -> container.mount(images, slurm));
    } catch (RuntimeException | Error e) {
      container.images.completeExceptionally(noThread(e));
    }
    return container;
  }

  /** A container that an earlier launcher completed. */
  static Container found(
      JobKey job,
      Spec spec,
      Libc.User user,
      JobSettings settings,
      ContainerImages images,
      Holder holder,
      Keeper keeper) {
    Container container = new Container(job, spec, 0, settings, Runnable::run, keeper);
    container.user = user;
    container.images.complete(images);
    container.running = holder;
    container.holder = CompletableFuture.completedFuture(holder);
    return container;
  }

  /** Starts the holder once the images are mounted; the job's extern step must exist by then. */
  public CompletableFuture<Holder> start() {
    CompletableFuture<Holder> started;
    synchronized (this) {
      if (holder != null) {
        return holder;
      }
      times.wanted();
      holder = images.thenApplyAsync(this::startHolder, workers);
      started = holder;
    }
    // Outside of the lock: the keeper takes the lock of the job, whose holders take ours.
    return started.whenComplete(
        (running, failure) -> {
          if (failure != null) {
            keeper.failed(this, causeOf(failure));
          }
        });
  }

  private static Throwable causeOf(Throwable failure) {
    return failure instanceof CompletionException && failure.getCause() != null
        ? failure.getCause()
        : failure;
  }

  /** When it was asked for: that of the request, 0 for one of an earlier launcher. */
  long arrival() {
    return arrival;
  }

  /** When its holder started, in ticks since boot; later than any other while it is starting. */
  long startTicks() {
    Holder process = running;
    return process == null ? Long.MAX_VALUE : process.id().startTicks();
  }

  JobKey job() {
    return job;
  }

  Spec spec() {
    return spec;
  }

  /** Its user; null while {@link #running} is. */
  Libc.User user() {
    return user;
  }

  /**
   * The image's environment, as profiles and devices change it, {@code NAME=VALUE}, once {@link
   * #start} is complete.
   */
  public List<String> environment() {
    return given.into(images.join().root().environment());
  }

  /** What a later launcher must know of it; null while there is no holder. */
  JobState.Running running() {
    Holder process = running;
    if (process == null) {
      return null;
    }
    ContainerImages mounted = images.join();
    Images.Mounted root = mounted.root();
    return new JobState.Running(
        spec.text(), root.key(), environment(), mounted.data(), process.id());
  }

  /** What its start was; to be asked when it is ready. */
  ContainerStart started() {
    Images.Mounted root = images.join().root();
    return new ContainerStart(
        job,
        spec.image(),
        root.key(),
        times.startMillis(),
        times.imageMillis(),
        root.bytes(),
        spec.devices().stream().map(DeviceName::toString).toList(),
        spec.profiles().stream().map(ProfileChange::toString).toList(),
        spec.isWritable(),
        spec.root());
  }

  NodeStatus.OfContainer status() {
    Holder process = running;
    boolean isMounted = images.isDone() && !images.isCompletedExceptionally();
    return new NodeStatus.OfContainer(
        job.job(),
        job.uid(),
        isMounted
            ? ContainerStart.name(spec.image(), images.join().root().key())
            : spec.image().toString(),
        isMounted ? images.join().root().key().digest().toString() : "",
        process == null ? 0 : process.id().pid(),
        process == null ? 0 : process.id().ageSeconds(),
        process == null ? progress : "");
  }

  /** Logs the step whose task has entered it, unless another task of it has. */
  public void noteStep(long step, long waitedMillis) {
    if (times.isNew(step)) {
      ContainerStart.image(job.on(Event.STEP, log), spec.image(), images.join().root().key())
          .addKeyValue("step", ContainerTimes.name(step))
          .addKeyValue("millis", waitedMillis)
          .log();
    }
  }

  /** Logs the images that it mounts. */
  void logData() {
    images
        .join()
        .forEachData(
            (name, data) -> {
              LoggingEventBuilder line =
                  ContainerStart.image(job.on(Event.DATA, log), name, data.key());
              ContainerStart.bytes(line, data.bytes()).log();
            });
  }

  private void logEnd(Holder process) {
    Images.Mounted root = images.join().root();
    LoggingEventBuilder line =
        ContainerStart.image(job.on(Event.ENDED, log), spec.image(), root.key());
    ContainerStart.bytes(line.addKeyValue("seconds", process.id().ageSeconds()), root.bytes())
        .log();
  }

  /** Whether an image server of it has died: what it served can never be read again in it. */
  boolean hasLostAnImage() {
    return images.isDone() && !images.isCompletedExceptionally() && !images.join().areAlive();
  }

  /** Whether it failed because an image server or its holder was killed: another may be had. */
  public boolean mayBeTriedAgain() {
    return mayBeTriedAgain;
  }

  /** What to tell a user who waits now; empty for nothing. */
  public String progress() {
    return progress;
  }

  private void mount(Images node, Slurm slurm) {
    try {
      user = userOf(job);
      Admission admission =
          new Admission(
              settings.policy(),
              settings.profiles(),
              new JobFacts(slurm, job.job()),
              user.name(),
              spec);
      ContainerImages mounted =
          ContainerImages.mount(
              node,
              spec,
              () -> admission.given().mounts(),
              new Images.Reader(
                  user.name(), job.uid(), user.gid(), () -> slurm.job(job), admission),
              line -> progress = line);
      times.mounted();
      mountRules = admission.mountRules();
      given = admission.given();
      requireFits(mounted);
      images.complete(mounted);
    } catch (Throwable e) { // also an Error: whoever waits would wait for ever
      images.completeExceptionally(Abort.of(e));
    }
  }

  private void requireFits(ContainerImages mounted) throws Abort {
    List<String> environment = given.into(mounted.root().environment());
    int bytes = environment.stream().mapToInt(each -> each.getBytes(UTF_8).length + 2).sum();
    if (bytes > MAX_ENVIRONMENT_BYTES) {
      mounted.close();
      throw new Abort(
          ExitCode.MISCONFIGURED,
          "cannot start the container: with what profiles and devices add, its environment has "
              + bytes
              + " bytes, at most "
              + MAX_ENVIRONMENT_BYTES
              + " are possible (tell the site)");
    }
  }

  static Libc.User userOf(JobKey job) throws Abort {
    Optional<Libc.User> user;
    try {
      user = Libc.user(job.uid());
    } catch (IOException e) {
      throw new Abort(
          ExitCode.UNAVAILABLE,
          "cannot start a container for uid "
              + job.uid()
              + ": "
              + e.getMessage()
              + " (try again, or tell the site)",
          e);
    }
    return user.orElseThrow(
        () ->
            new Abort(
                ExitCode.PERMISSION,
                "cannot start a container for uid "
                    + job.uid()
                    + ": no such user on this node (tell the site)"));
  }

  private Holder startHolder(ContainerImages mounted) {
    progress = "starting the container";
    Holder process = null;
    try {
      refuseClosed();
      String home = user.home().startsWith("/") ? user.home() : null;
      Path root = keeper.root(this, mounted.root());
      Holder.Additions more =
          new Holder.Additions(
              mountRules,
              given,
              given.replacements().isEmpty()
                  ? List.of()
                  : Given.libraryDirectories(mounted.root().environment()));
      process = Holder.start(settings, job, spec, root, mounted::place, home, more);
      running = process;
      keeper.complete(this, process);
      process.keep();
      return process;
    } catch (Throwable e) { // as in mount
      running = null;
      if (process != null) {
        process.close();
      }
      Abort abort = Abort.of(e);
      mayBeTriedAgain = abort.isKilled() || mounted.endWithin(END_MILLIS);
      throw new CompletionException(abort);
    }
  }

  private synchronized void refuseClosed() throws Abort {
    if (closed) {
      throw new Abort(ExitCode.UNAVAILABLE, "cannot start the container: the job has ended");
    }
  }

  private static Abort noThread(Throwable e) {
    return new Abort(
        ExitCode.UNAVAILABLE,
        "cannot start the container: the node gives the launcher no thread: "
            + e.getMessage()
            + " (try again, or tell the site)",
        e);
  }

  /** Ends the holder and lets go of the images, now or as soon as they are there. */
  @Override
  public void close() {
    CompletableFuture<Holder> started;
    Holder open;
    synchronized (this) {
      open = closed ? null : running;
      closed = true;
      started = holder;
    }
    if (open != null) {
      logEnd(open);
    }
    CompletableFuture<Void> holderEnded =
        started == null
            ? CompletableFuture.completedFuture(null)
            : started.thenAccept(Holder::close).exceptionally(failure -> null);
    CompletableFuture<Void> unused =
        holderEnded.thenCompose(ended -> images.thenAccept(ContainerImages::close));
  }
}
