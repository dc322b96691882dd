package org.layercake.launcher.image;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.layercake.launcher.node.Abort;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.JobRef;
import org.layercake.store.StoreException;

/**
 * From an image name to a mount on this node: resolve, fetch, mount. The launcher's key reads every
 * user's images; it is {@link ImageStore#resolve} that refuses what the user may not run.
 */
public final class Images implements AutoCloseable {
  private static final int MAX_PATH_BYTES = 4095; // no step can start in a longer one

  private final ImageSettings settings;
  private final ImageCache cache;
  private final ImageMounts mounts;
  private CompletableFuture<ImageStore> store; // guarded by this; null before and after a failure

  /**
   * Makes the images' directories; nothing is fetched yet.
   *
   * @throws IOException when the run directory cannot be used
   */
  public Images(ImageSettings settings) throws IOException {
    this.settings = settings;
    CacheLayout layout = new CacheLayout(settings.cacheDirectory(), settings.runDirectory());
    layout.prepare();
    this.cache =
        new ImageCache(
            layout, settings.limits(), settings.pace(), this::store, this::releaseMemory);
    this.mounts =
        new ImageMounts(
            layout, settings.imageServer(), ImageMemory.options(settings.memoryBytes()));
  }

  /**
   * The user and the job for whom an image is.
   *
   * @param user whose images a bare name means first, and who must be allowed to run it
   * @param gid whose group the image's files are said to be of, as they are said to be the user's
   * @param job all of whose containers of one name run one image, on all nodes
   * @param admission whether the site lets an image run
   */
  public record Reader(String user, long uid, long gid, JobLookup job, Admission admission) {}

  /** Is asked once it is known which image a name means, before anything of it is fetched. */
  public interface Admission {
    /**
     * Refuses an image that is not to run, or not to be mounted.
     *
     * @param runs whether it is what a container runs in; else it is only mounted there
     * @param inGroup whether the user is in a group
     */
    void require(Image image, boolean runs, Predicate<String> inGroup) throws StoreException, Abort;
  }

  /** Finds a job for the store; asked only where a name has no digest. */
  public interface JobLookup {
    JobRef find() throws StoreException, InterruptedException;
  }

  /** An image that is on this node and mounted, until closed. */
  public static final class Mounted implements AutoCloseable {
    private final List<String> environment;
    private final ImageCache.Lease lease;
    private final ImageMounts.Mount mount;

    private Mounted(List<String> environment, ImageCache.Lease lease, ImageMounts.Mount mount) {
      this.environment = environment;
      this.lease = lease;
      this.mount = mount;
    }

    public ImageKey key() {
      return lease.key();
    }

    /** How the image has come until now. */
    public Bytes bytes() {
      return lease.bytes();
    }

    /** The image's, {@code NAME=VALUE}. */
    public List<String> environment() {
      return environment;
    }

    public Path directory() {
      return mount.directory();
    }

    /** Names the process that serves it, unlike all others since the node was booted. */
    public String server() {
      return mount.server();
    }

    /** Whether programs can read it. Once false it is never true again: mount the image anew. */
    public boolean isAlive() {
      return mount.isAlive();
    }

    /** Whether it ceases to be {@link #isAlive} within a time, for which this waits. */
    public boolean endsWithin(long millis) {
      mount.onEnd().completeOnTimeout(null, millis, TimeUnit.MILLISECONDS).join();
      return !isAlive();
    }

    /** The file may go when its server has let go of it. */
    @Override
    public void close() {
      CompletableFuture<Void> unused = mount.release().thenRun(lease::close);
    }
  }

  /**
   * Makes an image ready on this node, whose programs can be run here.
   *
   * @param progress told lines for the user
   */
  public Mounted mount(ImageName name, Reader reader, Consumer<String> progress)
      throws Abort, InterruptedException {
    return mount(name, reader, true, progress);
  }

  /** The same for an image that is only read, whose programs may be for any processor. */
  public Mounted mountData(ImageName name, Reader reader, Consumer<String> progress)
      throws Abort, InterruptedException {
    return mount(name, reader, false, progress);
  }

  private Mounted mount(ImageName name, Reader reader, boolean runs, Consumer<String> progress)
      throws Abort, InterruptedException {
    try {
      progress.accept("looking up " + name + " in " + settings.store().place());
      ImageStore images = store();
      Image image = resolve(images, name, reader, runs);
      if (runs) {
        Processor.ofNode().require(name, image);
      }
      // The chunks are the fill's alone.
      List<String> environment = runs ? environment(image) : List.of();
      FetchProgress listener =
          new FetchProgress(
              name + " from " + settings.store().place(), image.manifest().size(), progress);
      ImageCache.Lease lease = cache.lease(image, reader.uid(), !settings.instantStart(), listener);
      progress.accept("mounting " + name);
      return mount(environment, lease, reader.gid());
    } catch (StoreException e) {
      throw Abort.of(e);
    }
  }

  private static Image resolve(ImageStore images, ImageName name, Reader reader, boolean runs)
      throws StoreException, Abort, InterruptedException {
    Groups groups = new Groups(reader.user());
    Image image =
        name.digest().isPresent()
            ? images.resolveToRun(name, reader.user(), groups::contain)
            : images.resolveForJob(reader.job().find(), name, reader.user(), groups::contain);
    reader.admission().require(image, runs, groups::contain);
    groups.requireKnown();
    return image;
  }

  /** Whether this node is to tell Slurm that a job runs an image under a name. */
  public boolean claimComment(JobRef job, ImageName name, ImageKey image) throws StoreException {
    return store().claimComment(job, name, image.domain(), image.digest());
  }

  /** What the node has at this moment. */
  public ImagesStatus status() {
    CompletableFuture<ImageStore> connected;
    synchronized (this) {
      connected = store;
    }
    boolean isConnected =
        connected != null && connected.isDone() && !connected.isCompletedExceptionally();
    return cache.status(
        settings.store().place(), isConnected, settings.limits().budgetBytes(), mounts.status());
  }

  /** Takes up what an earlier launcher has left. Nothing is fetched yet. */
  public void recover() {
    cache.recover(mounts::isServed);
  }

  /**
   * To be called when {@link #mountedBefore} was, for all that jobs have: ends what nobody holds,
   * and begins to fetch.
   */
  public void open() throws IOException {
    mounts.endUnused();
    cache.open();
  }

  /**
   * The image's own; which image it is, for a job's log and to run the same again; its working
   * directory and its entry point, for steps that want them.
   */
  private static List<String> environment(Image image) {
    List<String> environment =
        image.manifest().config().environment().stream()
            .filter(variable -> !variable.startsWith("LAYERCAKE_"))
            .collect(Collectors.toCollection(ArrayList::new));
    environment.add("LAYERCAKE_IMAGE=" + image.pinned());
    String directory = image.manifest().config().run().directory();
    String absolute = directory.startsWith("/") ? directory : "/" + directory;
    if (absolute.getBytes(UTF_8).length <= MAX_PATH_BYTES && absolute.indexOf('\0') < 0) {
      environment.add("LAYERCAKE_WORKDIR=" + absolute);
    }
    List<String> entryPoint = image.manifest().config().run().entryPoint();
    if (!entryPoint.isEmpty()) {
      environment.add("LAYERCAKE_ENTRYPOINT=" + EntryPoint.line(entryPoint));
    }
    return environment;
  }

  private Mounted mount(List<String> environment, ImageCache.Lease lease, long gid)
      throws Abort, InterruptedException {
    try {
      return new Mounted(environment, lease, mounts.mount(lease, gid));
    } catch (Throwable e) {
      lease.close();
      throw e;
    }
  }

  /**
   * Takes up the mount of an earlier launcher, or returns null when it is not whole any more.
   *
   * @param uid whose job has it
   */
  public Mounted mountedBefore(ImageKey key, List<String> environment, long uid)
      throws Abort, InterruptedException {
    ImageCache.Lease lease = cache.leaseCached(key, uid);
    ImageMounts.Mount mount = lease == null ? null : mounts.mountedBefore(new MountKey(key, uid));
    if (mount != null) {
      return new Mounted(environment, lease, mount);
    }
    if (lease != null) {
      lease.close();
    }
    return null;
  }

  /** An idle JVM would keep the buffers of its last fetch for ever. */
  private void releaseMemory() {
    if (cache.isQuiet()) {
      CompletableFuture<ImageStore> connected;
      synchronized (this) {
        connected = store;
      }
      if (connected != null && connected.isDone() && !connected.isCompletedExceptionally()) {
        connected.join().rest();
      }
      System.gc();
    }
  }

  /**
   * Connects on first need, so that a launcher can start before its store. One thread connects; the
   * others wait for it, and hold no lock meanwhile.
   */
  private ImageStore store() throws StoreException {
    CompletableFuture<ImageStore> mine = null;
    CompletableFuture<ImageStore> connected;
    synchronized (this) {
      if (store == null) {
        mine = new CompletableFuture<>();
        store = mine;
      }
      connected = store;
    }
    if (mine != null) {
      connect(mine);
    }
    try {
      return connected.join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof StoreException failure) {
        throw failure;
      }
      throw new StoreException(
          StoreException.Kind.INTERNAL, "cannot connect to the store: " + e.getCause(), e);
    }
  }

  private void connect(CompletableFuture<ImageStore> mine) {
    try {
      ImageStore connected = ImageStore.open(settings.store());
      connected.rest();
      mine.complete(connected);
    } catch (Throwable e) { // whoever comes next tries again
      synchronized (this) {
        store = null;
      }
      mine.completeExceptionally(e);
    }
  }

  @Override
  public void close() {
    cache.close();
    CompletableFuture<ImageStore> connected;
    synchronized (this) {
      connected = store;
      store = null;
    }
    if (connected != null) {
      CompletableFuture<Void> unused = connected.thenAccept(ImageStore::close);
    }
  }
}
