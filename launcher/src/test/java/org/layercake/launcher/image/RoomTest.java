package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Await;
import org.layercake.store.ExitCode;
import org.layercake.store.FetchListener;
import org.layercake.store.Image;

class RoomTest extends CacheTestCase {
  @Test
  void evictsTheLeastRecentlyLeasedImageThatNobodyHolds() throws Exception {
    mayFetch.countDown();
    Image second = push("two", content(2));
    Image third = push("three", content(3));
    ImageCache.Lease held = lease(push("one", content(1)));
    lease(second).close();
    lease(third).close();
    assertTrue(Files.exists(layout.image(held.key())));
    assertFalse(Files.exists(layout.image(ImageKey.of(second))));
    assertFalse(Files.exists(layout.manifest(ImageKey.of(second))));
    assertTrue(Files.exists(layout.image(ImageKey.of(third))));
  }

  @Test
  void theTimesOfFilesDoNotSayWhatIsEvicted() throws Exception {
    mayFetch.countDown();
    Image first = push("one", content(1));
    Image third = push("three", content(3));
    lease(first).close();
    lease(push("two", content(2))).close();
    Files.setLastModifiedTime(
        layout.image(ImageKey.of(first)), FileTime.from(Instant.now().plus(Duration.ofDays(1))));
    lease(third).close();
    assertFalse(Files.exists(layout.image(ImageKey.of(first))));
  }

  @Test
  void refusesAnImageForWhichLeasedImagesLeaveNoRoom() throws Exception {
    mayFetch.countDown();
    Image third = push("three", content(3));
    ImageCache.Lease first = lease(push("one", content(1)));
    ImageCache.Lease second = lease(push("two", content(2)));
    Abort abort = assertThrows(Abort.class, () -> lease(third));
    assertEquals(ExitCode.FULL, abort.exitCode());
    first.close();
    first.close();
    lease(third).close();
    assertTrue(Files.exists(layout.image(second.key())));
  }

  @Timeout(60)
  @Test
  void imagesOnTheirWayHaveABoundOnTheirChunks() throws Exception {
    Image first = push("one", content(1));
    Image second = push("two", content(2));
    int most = 3 * Math.max(chunks(first), chunks(second));
    ImageCache bounded =
        new ImageCache(layout, LIMITS, PACE, this::awaitStore, () -> {}, most / 2 + 2);
    bounded.open();
    ExecutorService askers = Executors.newFixedThreadPool(1);
    Future<ImageCache.Lease> lease = askers.submit(() -> bounded.lease(first, UID, true, d -> {}));
    Await.await("it is on its way", () -> !bounded.isQuiet());
    Abort refused = assertThrows(Abort.class, () -> bounded.lease(second, UID, true, d -> {}));
    assertEquals(ExitCode.UNAVAILABLE, refused.exitCode());
    mayFetch.countDown();
    lease.get().close();
    bounded.lease(second, UID, true, d -> {}).close();
    askers.shutdown();
    bounded.close();
  }

  @Test
  void anImageThatCanNeverFitEvictsNothing() throws Exception {
    mayFetch.countDown();
    Image first = push("one", content(1));
    Image second = push("two", content(2));
    lease(first).close();
    lease(second).close();
    byte[] large = new byte[2 * BYTES + 1];
    new Random(4).nextBytes(large);
    Image third = push("three", large);
    assertEquals(ExitCode.FULL, assertThrows(Abort.class, () -> lease(third)).exitCode());
    ImageCache.Lease held = lease(first);
    Image fourth = push("four", Arrays.copyOf(large, BYTES + 1));
    Abort abort = assertThrows(Abort.class, () -> cache.lease(fourth, UID + 1, true, done -> {}));
    assertEquals(ExitCode.FULL, abort.exitCode());
    assertEquals(4, files(), "two images and their manifests");
    held.close();
  }

  @Test
  void oneUsersJobsLeaveRoomForThoseOfOthers() throws Exception {
    mayFetch.countDown();
    cache.close();
    cache = openCache(new ImageSettings.Limits(3 * BYTES, 70, 64));
    Image first = push("one", content(1));
    Image second = push("two", content(2));
    Image third = push("three", content(3));
    ImageCache.Lease one = lease(first);
    ImageCache.Lease again = lease(first);
    ImageCache.Lease two = lease(second);
    assertEquals(ExitCode.FULL, assertThrows(Abort.class, () -> lease(third)).exitCode());
    FetchListener nobody = done -> {};
    ImageCache.Lease others = cache.lease(third, UID + 1, true, nobody);
    assertThrows(Abort.class, () -> lease(third), "also when another has brought it");
    one.close();
    assertThrows(Abort.class, () -> lease(third), "they have it twice");
    again.close();
    lease(third).close();
    two.close();
    others.close();
  }

  @Test
  void oneUsersJobsHoldSoManyImagesAtMost() throws Exception {
    mayFetch.countDown();
    cache.close();
    cache = openCache(new ImageSettings.Limits(10 * BYTES, 100, 2));
    ImageCache.Lease one = lease(push("one", content(1)));
    ImageCache.Lease two = lease(push("two", content(2)));
    Image third = push("three", content(3));
    assertEquals(ExitCode.FULL, assertThrows(Abort.class, () -> lease(third)).exitCode());
    lease(push("two", content(2))).close();
    two.close();
    lease(third).close();
    one.close();
  }

  private static int chunks(Image image) {
    return image.manifest().chunks().size();
  }
}
