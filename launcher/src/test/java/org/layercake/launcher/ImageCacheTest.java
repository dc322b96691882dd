package org.layercake.launcher;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.store.Digest;

class ImageCacheTest {
  private static final int BYTES = 1000;

  @TempDir Path directory;
  private CacheLayout layout;
  private ImageCache cache;

  @BeforeEach
  void openCacheForTwoImages() throws IOException {
    layout = new CacheLayout(directory.resolve("cache"), directory.resolve("run"));
    layout.prepare();
    cache = new ImageCache(layout, 2 * BYTES, () -> {});
  }

  @Test
  void fetchesAnImageOnceForManyWhoAsk() throws Exception {
    AtomicInteger fetches = new AtomicInteger();
    ExecutorService askers = Executors.newFixedThreadPool(20);
    List<Future<ImageCache.Lease>> leases = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      leases.add(
          askers.submit(
              () ->
                  cache.lease(
                      digest(1),
                      BYTES,
                      done -> {},
                      (target, listener) -> {
                        fetches.incrementAndGet();
                        target.write(ByteBuffer.wrap(content(1)));
                      })));
    }
    for (Future<ImageCache.Lease> lease : leases) {
      assertArrayEquals(content(1), Files.readAllBytes(lease.get().file()));
    }
    askers.shutdown();
    assertEquals(1, fetches.get());
  }

  @Test
  void whoeverWaitsForAFetchHearsOfIt() throws Exception {
    CountDownLatch waits = new CountDownLatch(1);
    AtomicLong heard = new AtomicLong();
    ExecutorService askers = Executors.newFixedThreadPool(2);
    Future<ImageCache.Lease> first =
        askers.submit(
            () ->
                cache.lease(
                    digest(1),
                    BYTES,
                    done -> {},
                    (target, listener) -> {
                      while (heard.get() == 0) { // until the second is there
                        waits.countDown();
                        listener.fetched(BYTES / 2);
                      }
                      target.write(ByteBuffer.wrap(content(1)));
                    }));
    waits.await();
    Future<ImageCache.Lease> second =
        askers.submit(() -> cache.lease(digest(1), BYTES, heard::set, (target, listener) -> {}));
    first.get().close();
    second.get().close();
    askers.shutdown();
    assertEquals(BYTES / 2, heard.get());
  }

  @Test
  void aFailedFetchLeavesNothingAndTheNextOneSucceeds() throws Exception {
    assertThrows(
        Abort.class,
        () ->
            cache.lease(
                digest(1),
                BYTES,
                done -> {},
                (target, listener) -> {
                  target.write(ByteBuffer.wrap(new byte[10]));
                  throw new IOException("broken");
                }));
    assertEquals(0, files());
    lease(1).close();
    assertEquals(1, files());
  }

  @Test
  void evictsTheLeastRecentlyLeasedImageThatNobodyHolds() throws Exception {
    ImageCache.Lease held = lease(1);
    lease(2).close();
    lease(3).close();
    assertTrue(Files.exists(held.file()));
    assertFalse(Files.exists(layout.image(digest(2))));
    assertTrue(Files.exists(layout.image(digest(3))));
  }

  @Test
  void refusesAnImageForWhichLeasedImagesLeaveNoRoom() throws Exception {
    ImageCache.Lease first = lease(1);
    ImageCache.Lease second = lease(2);
    Abort abort = assertThrows(Abort.class, () -> lease(3));
    assertEquals(Abort.CANNOT_CREATE, abort.exitCode());
    first.close();
    first.close();
    lease(3).close();
    assertTrue(Files.exists(second.file()));
  }

  @Test
  void aFullDiskIsSaidAsSuch() {
    Abort abort =
        assertThrows(
            Abort.class,
            () ->
                cache.lease(
                    digest(1),
                    BYTES,
                    done -> {},
                    (target, listener) -> {
                      throw new IOException("No space left on device");
                    }));
    assertEquals(Abort.CANNOT_CREATE, abort.exitCode());
  }

  @Test
  void aRestartDropsWhatWasNeverPublished() throws Exception {
    lease(1).close();
    Files.write(layout.staging(digest(2)), content(2));
    layout.prepare();
    assertEquals(1, files());
  }

  private ImageCache.Lease lease(int seed) throws Exception {
    return cache.lease(
        digest(seed),
        BYTES,
        done -> {},
        (target, listener) -> target.write(ByteBuffer.wrap(content(seed))));
  }

  private long files() throws IOException {
    try (Stream<Path> files = Files.walk(layout.cacheDirectory())) {
      return files.filter(Files::isRegularFile).count();
    }
  }

  private static byte[] content(int seed) {
    byte[] bytes = new byte[BYTES];
    java.util.Arrays.fill(bytes, (byte) seed);
    return bytes;
  }

  private static Digest digest(int seed) throws Exception {
    return Digest.parse("sha256:" + String.format("%064x", seed));
  }
}
