package org.layercake.launcher;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;

/**
 * A job's container of one spec on this node: first its image, then its holder. Both are futures,
 * so whoever asks second waits for the work of the first.
 */
final class Container implements AutoCloseable {
  private final JobKey job;
  private final Spec spec;
  private final Libc.User user;
  private final Config config;
  private final Executor workers;
  private final Listener listener;
  private final CompletableFuture<Images.Mounted> image;
  private CompletableFuture<Holder> holder; // guarded by this
  private boolean closed; // guarded by this
  private volatile String progress = "";

  /** Told once, when the holder is ready or cannot be. */
  interface Listener {
    void settled(Container container, Holder holder, Throwable failure);
  }

  private Container(
      JobKey job, Spec spec, Libc.User user, Config config, Executor workers, Listener listener) {
    this.job = job;
    this.spec = spec;
    this.user = user;
    this.config = config;
    this.workers = workers;
    this.listener = listener;
    this.image = new CompletableFuture<>();
  }

  /** Starts to make the image ready, in the background. */
  static Container prepare(
      JobKey job,
      Spec spec,
      Libc.User user,
      Config config,
      Images images,
      Executor workers,
      Listener listener) {
    Container container = new Container(job, spec, user, config, workers, listener);
    workers.execute(() -> container.mount(images));
    return container;
  }

  /** A container that an earlier launcher completed. */
  static Container found(
      JobKey job, Spec spec, Libc.User user, Config config, Images.Mounted image, Holder holder) {
    Container container =
        new Container(job, spec, user, config, Runnable::run, (self, running, failure) -> {});
    container.image.complete(image);
    container.holder = CompletableFuture.completedFuture(holder);
    return container;
  }

  /** Starts the holder once the image is mounted; the job's extern step must exist by then. */
  CompletableFuture<Holder> start() {
    CompletableFuture<Holder> started;
    synchronized (this) {
      if (holder != null) {
        return holder;
      }
      holder = image.thenApplyAsync(this::startHolder, workers);
      started = holder;
    }
    // Outside of the lock: the listener takes the lock of the job, whose holders take ours.
    CompletableFuture<Holder> unused =
        started.whenComplete(
            (running, failure) ->
                listener.settled(
                    this,
                    running,
                    failure instanceof CompletionException ? failure.getCause() : failure));
    return started;
  }

  /** The holder if {@link #start} was called, else null. */
  synchronized CompletableFuture<Holder> startedHolder() {
    return holder;
  }

  /** The container's image; complete once {@link #start} is. */
  CompletableFuture<Images.Mounted> image() {
    return image;
  }

  /** When its holder started, in ticks since boot; later than any other while it is starting. */
  synchronized long startTicks() {
    boolean runs = holder != null && holder.isDone() && !holder.isCompletedExceptionally();
    return runs ? holder.join().id().startTicks() : Long.MAX_VALUE;
  }

  Spec spec() {
    return spec;
  }

  /** What to tell a user who waits now; empty for nothing. */
  String progress() {
    return progress;
  }

  private void mount(Images images) {
    try {
      image.complete(images.mount(spec, user.name(), job.uid(), line -> progress = line));
    } catch (Abort e) {
      image.completeExceptionally(e);
    } catch (InterruptedException | RuntimeException e) {
      image.completeExceptionally(unexpected(e));
    }
  }

  private Holder startHolder(Images.Mounted mounted) {
    progress = "starting the container";
    try {
      synchronized (this) {
        if (closed) {
          throw new Abort(Abort.UNAVAILABLE, "cannot start the container: the job has ended");
        }
      }
      String home = config.mountHome() && user.home().startsWith("/") ? user.home() : null;
      return Holder.start(config, job, spec, mounted.directory(), home);
    } catch (Abort e) {
      throw new CompletionException(e);
    } catch (InterruptedException | RuntimeException e) {
      throw new CompletionException(unexpected(e));
    }
  }

  private static Abort unexpected(Exception e) {
    return new Abort(
        Abort.INTERNAL,
        "the launcher failed: " + e + " (tell the site: see the launcher's log)",
        e);
  }

  /** Ends the holder and lets go of the image, now or as soon as they are there. */
  @Override
  public void close() {
    CompletableFuture<Holder> started;
    synchronized (this) {
      closed = true;
      started = holder;
    }
    CompletableFuture<Void> holderEnded =
        started == null
            ? CompletableFuture.completedFuture(null)
            : started.thenAccept(Holder::close).exceptionally(failure -> null);
    CompletableFuture<Void> unused =
        holderEnded.thenCompose(ended -> image.thenAccept(Images.Mounted::close));
  }
}
