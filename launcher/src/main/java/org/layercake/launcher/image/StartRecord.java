package org.layercake.launcher.image;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.layercake.launcher.node.Event;
import org.layercake.store.Image;
import org.layercake.store.ImageStore;
import org.layercake.store.StartProfile;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What is read of an image while it is new on the node: that is what a start reads. */
final class StartRecord {
  private static final Logger log = LoggerFactory.getLogger(StartRecord.class);

  /** How long what is read belongs to the start. */
  private static final long SECONDS = 30;

  /** Thousands of nodes see the same start: the first to store it spares the others that. */
  private static final long SPREAD_MILLIS = 10_000;

  /** A profile has this part of the image at most, but may always have so many chunks. */
  private static final int MAX_PART = 4;

  private static final int MAX_CHUNKS = 256;

  /** A profile is stored again when it has grown by this part. */
  private static final int WORTH_STORING_PART = 20;

  private final long endNanos = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
  private final Set<Integer> read = new LinkedHashSet<>(); // guarded by this

  synchronized void note(int chunk) {
    if (System.nanoTime() - endNanos < 0) {
      read.add(chunk);
    }
  }

  private synchronized StartProfile profile() {
    return new StartProfile(List.copyOf(read));
  }

  /** Waits until the start is over and others may have stored it. */
  void awaitEnd() throws InterruptedException {
    long spread = ThreadLocalRandom.current().nextLong(SPREAD_MILLIS);
    Thread.sleep(Math.max(0, (endNanos - System.nanoTime()) / 1_000_000) + spread);
  }

  /** Adds to the image's start profile what it does not have yet. */
  void save(ImageStore store, Image image) throws StoreException {
    StartProfile known = known(store, image);
    int most = Math.max(MAX_CHUNKS, image.manifest().chunks().size() / MAX_PART);
    StartProfile all = known.with(profile()).first(most);
    int fresh = all.chunks().size() - known.chunks().size();
    if (fresh > known.chunks().size() / WORTH_STORING_PART) {
      store.saveStartProfile(image, all);
      ImageKey.of(image)
          .on(Event.START_RECORDED, log)
          .addKeyValue("chunks", all.chunks().size())
          .addKeyValue("fresh", fresh)
          .log();
    }
  }

  /** What is damaged is written over. */
  private static StartProfile known(ImageStore store, Image image) throws StoreException {
    try {
      return store.startProfile(image);
    } catch (StoreException e) {
      if (e.kind() == StoreException.Kind.CORRUPT) {
        return StartProfile.NONE;
      }
      throw e;
    }
  }
}
