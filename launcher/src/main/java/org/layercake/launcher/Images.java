package org.layercake.launcher;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.layercake.store.Digest;
import org.layercake.store.Image;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;

/**
 * From an image name to a mount on this node: resolve, fetch, mount. The launcher's key reads every
 * user's images; it is {@link ImageStore#resolve} that refuses what the user may not run.
 */
final class Images implements AutoCloseable {
  private final Config config;
  private final ImageCache cache;
  private final ImageMounts mounts;
  private ImageStore store;

  Images(Config config, CacheLayout layout) {
    this.config = config;
    this.cache =
        new ImageCache(
            layout, config.cacheBudgetBytes(), config.pace(), this::store, this::releaseMemory);
    this.mounts = new ImageMounts(layout, config.libraryDirectory().resolve("imageserver"));
  }

  /**
   * An image that is on this node and mounted, until closed.
   *
   * @param environment the image's, {@code NAME=VALUE}
   */
  record Mounted(
      Digest digest, List<String> environment, ImageCache.Lease lease, ImageMounts.Mount mount)
      implements AutoCloseable {
    Path directory() {
      return mount.directory();
    }

    @Override
    public void close() {
      mount.close();
      lease.close();
    }
  }

  /**
   * Makes an image ready on this node.
   *
   * @param user whose images a bare name means first, and who must be allowed to run it
   * @param progress told lines for the user
   */
  Mounted mount(Spec spec, String user, Consumer<String> progress)
      throws Abort, InterruptedException {
    try {
      progress.accept("looking up " + spec.image() + " in " + config.store().place());
      ImageStore images = store();
      Image image = images.resolveToRun(spec.image(), user, new Groups(user)::contain);
      FetchProgress listener =
          new FetchProgress(
              spec.image() + " from " + config.store().place(), image.manifest().size(), progress);
      ImageCache.Lease lease = cache.lease(image, !config.instantStart(), listener);
      progress.accept("mounting " + spec.image());
      return mount(image.digest(), environment(image), lease);
    } catch (StoreException e) {
      throw Abort.of(e);
    }
  }

  /** Takes up what an earlier launcher was fetching while it was read. */
  void recover() throws IOException {
    cache.recover(mounts::isServed);
  }

  /** The image's own, and which image it is: for a job's log, and to run the same again. */
  private static List<String> environment(Image image) {
    List<String> environment = new ArrayList<>(image.manifest().config().environment());
    environment.add("LAYERCAKE_IMAGE=" + image.pinned());
    return environment;
  }

  private Mounted mount(Digest digest, List<String> environment, ImageCache.Lease lease)
      throws Abort, InterruptedException {
    try {
      return new Mounted(digest, environment, lease, mounts.mount(digest, lease));
    } catch (Abort | InterruptedException e) {
      Abort damage = lease.damage();
      lease.close();
      if (damage != null && e instanceof Abort) {
        throw damage; // says more than that the mount has failed
      }
      throw e;
    }
  }

  /** Takes up the mount of an earlier launcher, or returns null when it is not whole any more. */
  Mounted mountedBefore(Digest digest, List<String> environment)
      throws Abort, InterruptedException {
    ImageCache.Lease lease = cache.leaseCached(digest);
    ImageMounts.Mount mount = lease == null ? null : mounts.mountedBefore(digest);
    if (mount != null) {
      return new Mounted(digest, environment, lease, mount);
    }
    if (lease != null) {
      lease.close();
    }
    return null;
  }

  ImageMounts mounts() {
    return mounts;
  }

  /** An idle JVM would keep the buffers of its last fetch for ever. */
  private void releaseMemory() {
    if (cache.isQuiet()) {
      synchronized (this) {
        if (store != null) {
          store.rest();
        }
      }
      System.gc();
    }
  }

  /** Connects on first need, so that a launcher can start before its store. */
  private synchronized ImageStore store() throws StoreException {
    if (store == null) {
      store = ImageStore.open(config.store());
      store.rest();
    }
    return store;
  }

  @Override
  public void close() {
    cache.close();
    disconnect();
  }

  private synchronized void disconnect() {
    if (store != null) {
      store.close();
      store = null;
    }
  }
}
