package org.layercake.launcher.image;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.store.FetchListener;
import org.layercake.store.Image;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;

/** A cache for two images of one size, and a store from which they come. */
abstract class CacheTestCase {
  static final int BYTES = 6 << 20;
  static final ImageSettings.Pace PACE = new ImageSettings.Pace(1 << 30, 600);
  static final ImageSettings.Limits LIMITS = new ImageSettings.Limits(2 * BYTES, 100, 64);
  static final long UID = 1000;
  static final String USER = System.getProperty("user.name");

  @TempDir Path directory;
  CacheLayout layout;
  TestStore images;
  ImageStore store;
  ImageCache cache;
  final AtomicInteger fetches = new AtomicInteger();
  final CountDownLatch mayFetch = new CountDownLatch(1);
  volatile boolean answers = true;

  @BeforeEach
  void openCacheForTwoImages() throws Exception {
    layout = new CacheLayout(directory.resolve("cache"), directory.resolve("run"));
    layout.prepare();
    images = new TestStore(directory.resolve("store"));
    store = images.store();
    cache = openCache(LIMITS);
  }

  ImageCache openCache(ImageSettings.Limits limits) {
    ImageCache opened = new ImageCache(layout, limits, PACE, this::awaitStore, () -> {});
    opened.open();
    return opened;
  }

  ImageStore awaitStore() throws StoreException {
    fetches.incrementAndGet();
    try {
      mayFetch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (!answers) {
      throw new StoreException(StoreException.Kind.UNAVAILABLE, "no answer");
    }
    return store;
  }

  @AfterEach
  void close() {
    cache.close();
    images.close();
  }

  Path chunks() {
    return images.domain(USER).resolve("c");
  }

  ImageCache.Lease lease(Image image) throws Exception {
    FetchListener nobody = done -> {};
    return cache.lease(image, UID, true, nobody);
  }

  Image push(String name, byte[] content) throws Exception {
    return pushAs(USER, name, content);
  }

  Image pushAs(String user, String name, byte[] content) throws Exception {
    return images.push(user, name, Files.write(directory.resolve("pushed"), content));
  }

  long files() {
    return Stream.of("images", "manifests", "staging")
        .mapToLong(each -> layout.cacheDirectory().resolve(each).toFile().list().length)
        .sum();
  }

  static byte[] content(int seed) {
    byte[] bytes = new byte[BYTES];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }
}
