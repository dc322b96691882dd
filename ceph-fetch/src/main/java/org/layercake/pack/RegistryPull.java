package org.layercake.pack;

import static java.nio.file.LinkOption.NOFOLLOW_LINKS;
import static org.layercake.store.StoreException.Kind.BAD_SOURCE;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.layercake.store.Origin;
import org.layercake.store.StoreException;

/**
 * An image on its way from a registry into an OCI layout. Its layers can be read while others are
 * still coming; what has come whole stays when it ends early, so that the next one goes on.
 */
public final class RegistryPull implements AutoCloseable {
  /** Of configuration, manifest and index. */
  private static final long MAX_BYTES_BESIDE_LAYERS = 16 << 20;

  private static final long POLL_MILLIS = 20;

  /** How often in a row it is begun again without one more layer that has come whole. */
  private static final int TRIES = 3;

  private static final long STALLED_NANOS = TimeUnit.MINUTES.toNanos(5);

  /** Hears of a pull. */
  public interface Watcher {
    /**
     * It begins.
     *
     * @param bytes of all layers
     * @param there of those that an earlier one has left
     * @param place whose file system has to hold them
     */
    void begins(int layers, long bytes, long there, Path place);

    /** So many bytes of the layers have come. */
    void reached(long bytes);

    /** Something that the user should know. */
    void tells(String line);
  }

  private final Registry.Found found;
  private final Skopeo skopeo;
  private final JsonTree manifest;
  private final List<Origin.Layer> layers;
  private final long bytes;
  private final PullDirectory directory;
  private final Watcher watcher;
  private final Thread onExit = new Thread(this::abandon, "abandon-pull");
  private Program copy; // guarded by this
  private boolean closed; // guarded by this
  private volatile boolean isAbandoned;
  private final CompletableFuture<Void> end = new CompletableFuture<>();

  private RegistryPull(
      Registry.Found found,
      Skopeo skopeo,
      JsonTree manifest,
      List<Origin.Layer> layers,
      PullDirectory directory,
      Watcher watcher)
      throws StoreException, IOException {
    this.found = found;
    this.skopeo = skopeo;
    this.manifest = manifest;
    this.layers = layers;
    this.bytes = PullDirectory.bytes(layers);
    this.directory = directory;
    this.watcher = watcher;
    this.copy = begin();
  }

  static RegistryPull start(
      Scratch scratch,
      Skopeo skopeo,
      Registry.Found found,
      JsonTree manifest,
      List<Origin.Layer> layers,
      Watcher watcher)
      throws StoreException, IOException {
    Reference reference = found.reference();
    PullDirectory directory = PullDirectory.open(scratch, reference, found.source().manifest());
    try {
      long bytes = PullDirectory.bytes(layers);
      long there = directory.there(layers);
      // The image is packed beside them, and takes about as much.
      scratch.requireRoom("push " + reference, bytes - there + bytes);
      watcher.begins(layers.size(), bytes, there, scratch.parent());
      RegistryPull pull = new RegistryPull(found, skopeo, manifest, layers, directory, watcher);
      Runtime.getRuntime().addShutdownHook(pull.onExit);
      Thread thread = new Thread(pull::watch, "pull");
      thread.setDaemon(true);
      thread.start();
      return pull;
    } catch (StoreException | IOException | RuntimeException e) {
      directory.leave(layers);
      throw e;
    }
  }

  private Program begin() throws StoreException, IOException {
    Reference reference = found.reference();
    return skopeo.copy(reference, reference.pinned(found.source().manifest()), directory.layout());
  }

  /** For messages. */
  String name() {
    return found.reference().toString();
  }

  /** Of all layers. */
  long bytes() {
    return bytes;
  }

  /** What is remembered of it. */
  public Origin origin(String packer) {
    SortedMap<String, String> annotations = Registry.annotations(manifest);
    Instant now = Instant.now().truncatedTo(ChronoUnit.SECONDS);
    try {
      return new Origin(found.source(), packer, now, layers, annotations);
    } catch (IllegalArgumentException e) {
      watcher.tells("layercake: left out the image's annotations: " + e.getMessage());
      return new Origin(found.source(), packer, now, layers, Collections.emptySortedMap());
    }
  }

  /** Until all has come, or cannot. */
  private void watch() {
    try {
      int there = directory.count(layers);
      Program.End last = await(current());
      for (int tries = 1; !last.isGood(); tries++) {
        int now = directory.count(layers);
        tries = now > there ? 1 : tries;
        there = now;
        if (tries >= TRIES || !SkopeoFailure.isBroken(last, found.reference())) {
          break;
        }
        TimeUnit.SECONDS.sleep(tries);
        last = await(beginAgain());
      }
      skopeo.requireGood(last, found.reference());
      watcher.reached(bytes);
      end.complete(null);
    } catch (Throwable e) { // whoever waits must hear of it, whatever it is
      current().process().destroyForcibly();
      if (!isAbandoned) { // else nobody is to say that skopeo was killed
        end.completeExceptionally(e);
      }
    }
  }

  private synchronized Program current() {
    return copy;
  }

  private synchronized Program beginAgain() throws StoreException, IOException {
    if (!closed) {
      directory.removeParts();
      copy = begin();
    }
    return copy;
  }

  /** Waits for skopeo's end, and looks that it gets ahead, and not beyond what was said. */
  private Program.End await(Program program) throws StoreException, InterruptedException {
    long last = -1;
    long since = System.nanoTime();
    while (!program.process().waitFor(POLL_MILLIS, TimeUnit.MILLISECONDS)) {
      long come = directory.arrivedBytes();
      if (come != last) {
        last = come;
        since = System.nanoTime();
        watcher.reached(Math.min(come, bytes));
      }
      requireBounds(come, System.nanoTime() - since);
    }
    return program.await();
  }

  private void requireBounds(long come, long stalledNanos) throws StoreException {
    if (come > bytes + MAX_BYTES_BESIDE_LAYERS) {
      throw new StoreException(
          BAD_SOURCE,
          "cannot push "
              + found.reference()
              + ": more has come than the "
              + bytes
              + " bytes that its manifest says ("
              + found.reference().host()
              + " sends other bytes than it names: tell its operators)");
    }
    if (stalledNanos > STALLED_NANOS) {
      throw new StoreException(
          UNAVAILABLE,
          "cannot push "
              + found.reference()
              + ": nothing has come for "
              + TimeUnit.NANOSECONDS.toMinutes(STALLED_NANOS)
              + " minutes (try again; what has arrived is not fetched again)");
    }
  }

  /** The layers, the lowest first. To open one waits until it has come. */
  List<LayeredImage.Layer> layers(Decompressor decompressor) throws IOException {
    return LayeredImage.arriving(this::arrived, decompressor, manifest);
  }

  /** Under its name, a file is whole: skopeo writes it under another. */
  private ImageFiles.Slice arrived(String name) throws IOException {
    Path file = directory.layout().resolve(name);
    try {
      while (!Files.isRegularFile(file, NOFOLLOW_LINKS)) {
        if (end.isDone()) {
          end.get();
          break;
        }
        await(POLL_MILLIS);
      }
    } catch (ExecutionException e) {
      throw new IOException(e.getCause().getMessage(), e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
    return Files.isRegularFile(file, NOFOLLOW_LINKS)
        ? new ImageFiles.Slice(file, 0, Files.size(file))
        : null;
  }

  private void await(long millis) throws ExecutionException, InterruptedException {
    try {
      end.get(millis, TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      // Look again.
    }
  }

  /** Waits until all has come. */
  LayeredImage complete(Decompressor decompressor, Wanted wanted)
      throws StoreException, IOException {
    try {
      end.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof StoreException known) {
        throw known;
      }
      throw new IOException(e.getCause().getMessage(), e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
    Optional<LayeredImage> image = LayeredImage.read(directory.layout(), decompressor, wanted);
    return image.orElseThrow(() -> new IOException("skopeo has made no layout of it"));
  }

  /** Nothing of it is needed any more. */
  public void remove() throws IOException {
    directory.remove();
  }

  /**
   * Ends it, if it is under way. What has come whole stays for a day, unless {@link #remove} was
   * called.
   */
  private synchronized void stop() {
    closed = true;
    copy.process().destroyForcibly();
  }

  /** The program is ended by a signal. */
  private void abandon() {
    isAbandoned = true;
    stop();
    try {
      current().process().waitFor();
      directory.leave(layers);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (IOException e) {
      // A later push removes it.
    }
  }

  @Override
  public void close() throws IOException {
    try {
      Runtime.getRuntime().removeShutdownHook(onExit);
    } catch (IllegalStateException e) {
      return; // shutting down: the hook does it
    }
    stop();
    end.exceptionally(failure -> null).join();
    int there = directory.leave(layers);
    if (there > 0) {
      watcher.tells(
          "layercake: "
              + there
              + " of "
              + layers.size()
              + " layers stay for a day in "
              + directory.path()
              + " (push it again to go on)");
    }
  }
}
