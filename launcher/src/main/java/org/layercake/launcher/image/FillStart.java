package org.layercake.launcher.image;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.layercake.launcher.node.Background;
import org.layercake.launcher.node.Event;
import org.layercake.store.Image;
import org.layercake.store.ImageStore;
import org.layercake.store.Manifest;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is found out once about a fill, beside its first reads: which chunks will be read first, and
 * which the node has already in other images, from which they are copied.
 */
final class FillStart {
  private static final Logger log = LoggerFactory.getLogger(FillStart.class);

  /** Takes a chunk that was copied. */
  interface Taker {
    void take(int chunk, ByteBuffer content) throws IOException;
  }

  private final CacheLayout layout;
  private final ImageStore store;
  private final Image image;
  private final FillOrder order;
  private final Taker taker;
  private final Runnable call;
  private final CompletableFuture<Void> end;
  private volatile boolean stopped;

  /**
   * Begins at once.
   *
   * @param others images that may have the same chunks
   * @param call run when the order has changed
   */
  FillStart(
      CacheLayout layout,
      ImageStore store,
      Image image,
      Supplier<List<ImageKey>> others,
      FillOrder order,
      Taker taker,
      Runnable call) {
    this.layout = layout;
    this.store = store;
    this.image = image;
    this.order = order;
    this.taker = taker;
    this.call = call;
    this.end =
        CompletableFuture.runAsync(() -> run(others), task -> Background.start("seed", task));
  }

  private void run(Supplier<List<ImageKey>> others) {
    expect();
    copy(others);
  }

  /** Stops copying and waits until the store is not in use: it may be closed after a run. */
  void stop() {
    stopped = true;
    // What ended it otherwise than well, an OutOfMemoryError too, costs copies and no more.
    end.exceptionally(
            e -> {
              ImageKey.of(image)
                  .on(Event.COPY_FAILED, log)
                  .addKeyValue("cause", e.toString())
                  .log();
              return null;
            })
        .join();
  }

  private void expect() {
    try {
      order.expect(store.startProfile(image).chunks());
      call.run();
    } catch (StoreException | RuntimeException e) {
      ImageKey.of(image).on(Event.NO_START_PROFILE, log).addKeyValue("cause", e.getMessage()).log();
    }
  }

  private void copy(Supplier<List<ImageKey>> others) {
    try {
      Seeds seeds = Seeds.find(layout, image.manifest(), others.get());
      order.copy(seeds.chunks());
      call.run();
      if (seeds.chunks().isEmpty()) {
        return;
      }
      ByteBuffer buffer = ByteBuffer.allocateDirect(longest());
      for (OptionalInt chunk = next(); chunk.isPresent(); chunk = next()) {
        copy(seeds, chunk.getAsInt(), buffer);
      }
    } catch (IOException | RuntimeException e) {
      ImageKey.of(image).on(Event.COPY_FAILED, log).addKeyValue("cause", e.getMessage()).log();
    } finally {
      order.copyNothing();
      call.run();
    }
  }

  private OptionalInt next() {
    return stopped ? OptionalInt.empty() : order.nextCopy();
  }

  private void copy(Seeds seeds, int chunk, ByteBuffer buffer) throws IOException {
    if (seeds.read(chunk, buffer)) {
      taker.take(chunk, buffer);
    } else {
      order.uncopied(chunk);
    }
  }

  private int longest() {
    return image.manifest().chunks().stream().mapToInt(Manifest.Chunk::length).max().orElse(0);
  }
}
