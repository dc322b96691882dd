package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Descriptors;
import org.layercake.launcher.node.Program;
import org.layercake.store.Digest;
import org.layercake.store.ExitCode;
import org.layercake.store.FetchListener;
import org.layercake.store.Image;

class ImageCacheTest extends CacheTestCase {
  @Test
  void fetchesAnImageOnceForManyWhoAsk() throws Exception {
    Image image = push("one", content(1));
    ExecutorService askers = Executors.newFixedThreadPool(20);
    List<Future<ImageCache.Lease>> leases = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      boolean whole = i % 2 == 0;
      leases.add(askers.submit(() -> cache.lease(image, UID, whole, done -> {})));
    }
    mayFetch.countDown();
    for (int i = 0; i < 20; i++) {
      leases.get(i).get();
      Path file = layout.image(ImageKey.of(image));
      if (i % 2 == 0) {
        assertArrayEquals(content(1), Files.readAllBytes(file));
      }
    }
    askers.shutdown();
    assertEquals(1, fetches.get());
  }

  @Test
  void everyWaiterHearsOfAFetch() throws Exception {
    Image image = push("one", content(1));
    ExecutorService askers = Executors.newFixedThreadPool(2);
    List<AtomicLong> heard = List.of(new AtomicLong(), new AtomicLong());
    List<Future<ImageCache.Lease>> leases = new ArrayList<>();
    for (AtomicLong each : heard) {
      leases.add(askers.submit(() -> cache.lease(image, UID, true, each::set)));
    }
    mayFetch.countDown();
    for (Future<ImageCache.Lease> lease : leases) {
      lease.get().close();
    }
    askers.shutdown();
    assertEquals(List.of((long) BYTES, (long) BYTES), heard.stream().map(AtomicLong::get).toList());
  }

  @Timeout(60)
  @Test
  void aFailedFetchLeavesNothingAndTheNextOneSucceeds() throws Exception {
    Image image = push("one", content(1));
    mayFetch.countDown();
    Path chunks = chunks();
    Path away = Files.move(chunks, directory.resolve("away"));
    for (int i = 0; i < 20; i++) {
      boolean whole = i % 2 == 0;
      assertThrows(Abort.class, () -> cache.lease(image, UID, whole, done -> {}));
    }
    awaitFiles(0);
    Files.move(away, chunks);
    lease(image).close();
    assertArrayEquals(content(1), Files.readAllBytes(layout.image(ImageKey.of(image))));
    assertEquals(2, files(), "image and manifest");
  }

  @Timeout(60)
  @Test
  void aRunningJobKeepsItsFillWhenTheStoreFailsAtOnceAfterARestart() throws Exception {
    Image image = push("one", content(1));
    ImageKey key = leaveUnfinished(image);
    answers = false;
    mayFetch.countDown();
    ImageCache next = new ImageCache(layout, LIMITS, PACE, this::awaitStore, () -> {});
    next.recover(served -> true);
    ImageCache.Lease running = next.leaseCached(key, UID);
    next.open();
    CompletableFuture<String> heard = new CompletableFuture<>();
    FetchListener listener =
        new FetchListener() {
          @Override
          public void fetched(long bytesDone) {}

          @Override
          public void waits(String cause) {
            heard.complete(cause);
          }
        };
    ImageCache.Lease another = next.lease(image, UID, false, listener);
    assertEquals("no answer", heard.get());
    assertEquals("no answer", running.trouble().getMessage());
    answers = true;
    awaitFiles(2);
    assertArrayEquals(content(1), Files.readAllBytes(layout.image(key)));
    running.close();
    another.close();
    next.close();
  }

  @Test
  void aRestartFetchesNothingBeforeItKnowsWhatJobsHold() throws Exception {
    ImageKey key = leaveUnfinished(push("one", content(1)));
    mayFetch.countDown();
    ImageCache next = new ImageCache(layout, LIMITS, PACE, this::awaitStore, () -> {});
    next.recover(served -> true);
    assertTrue(Files.exists(layout.staging(key)));
    next.open();
    assertEquals(0, fetches.get(), "nobody holds it");
    assertEquals(0, files(), "it was dropped");
    next.close();
  }

  @Test
  void aFillThatCannotBeginOrGoOnKeepsNothingOpen() throws Exception {
    Image image = push("one", content(1));
    ImageKey key = ImageKey.of(image);
    layout.writeFillSource(key, image.pinned().toString());
    FillMap.create(layout.fillMap(key), image.manifest().chunks()).close();
    Files.createFile(layout.staging(key));
    assertThrows(IOException.class, () -> ImageFill.resume(layout, key, PACE), "it has no FIFOs");
    assertEquals(List.of(), Descriptors.open(layout.cacheDirectory()));
    Files.delete(layout.fillMap(key));
    Files.createDirectory(layout.fillMap(key));
    assertThrows(IOException.class, () -> ImageFill.begin(layout, image, PACE));
    assertEquals(List.of(), Descriptors.open(layout.cacheDirectory()));
  }

  @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD) // no interrupt ends a lock
  @Test
  void anImageServerThatIsSlowToStartKeepsNobodyWaiting() throws Exception {
    mayFetch.countDown();
    Image image = push("one", content(1));
    ImageCache slow =
        new ImageCache(layout, LIMITS, new ImageSettings.Pace(1, 600), this::awaitStore, () -> {});
    slow.open();
    ImageCache.Lease reading = slow.lease(image, UID, false, done -> {});
    CountDownLatch starts = new CountDownLatch(1);
    CountDownLatch mayStart = new CountDownLatch(1);
    ExecutorService starter = Executors.newSingleThreadExecutor();
    Future<Program> server =
        starter.submit(
            () ->
                reading.serve(
                    (file, filling) -> {
                      starts.countDown();
                      mayStart.await();
                      throw new Abort(ExitCode.INTERNAL, "no server here");
                    }));
    starts.await();
    slow.lease(image, UID, true, done -> {}).close();
    slow.lease(push("two", content(2)), UID, true, done -> {}).close();
    assertFalse(server.isDone());
    mayStart.countDown();
    assertThrows(ExecutionException.class, server::get);
    starter.shutdown();
    slow.close();
  }

  @Test
  void aRestartDropsWhatWasNeverPublished() throws Exception {
    mayFetch.countDown();
    lease(push("one", content(1))).close();
    Image second = push("two", content(2));
    Files.write(layout.staging(ImageKey.of(second)), content(2));
    layout.writeManifest(ImageKey.of(second), second.manifest());
    layout.prepare();
    assertEquals(2, files(), "image and manifest of the first");
  }

  @Test
  void namesOfAnImageAreOfThisNodeAlone() throws Exception {
    ImageKey key = new ImageKey("u.bob", Digest.of(new byte[1]));
    CacheLayout other = new CacheLayout(directory.resolve("cache2"), directory.resolve("run2"));
    other.prepare();
    assertFalse(layout.image(key).getFileName().equals(other.image(key).getFileName()));
    CacheLayout again = new CacheLayout(directory.resolve("cache"), directory.resolve("run"));
    again.prepare();
    assertEquals(layout.image(key), again.image(key));
    assertFalse(layout.image(key).toString().contains(key.digest().hex().substring(0, 8)));
  }

  @Test
  void foreignFilesInTheCacheDirectoryStopNobody() throws Exception {
    mayFetch.countDown();
    Image image = push("one", content(1));
    lease(image).close();
    cache.close();
    for (String each : List.of("images", "manifests", "staging")) {
      Path place = layout.cacheDirectory().resolve(each);
      Files.writeString(place.resolve("x.source"), "x");
      Files.createDirectories(place.resolve("lost+found/inside"));
      for (String name : List.of("fifo", "0123456789abcdef0123456789abcdef.source")) {
        Process mkfifo = new ProcessBuilder("mkfifo", place.resolve(name).toString()).start();
        assertEquals(0, mkfifo.waitFor());
      }
    }
    layout.prepare();
    cache = openCache(LIMITS);
    cache.recover(served -> true);
    lease(push("two", content(2))).close();
    lease(push("three", content(3))).close();
    for (String each : List.of("images", "manifests", "staging")) {
      Path place = layout.cacheDirectory().resolve(each);
      assertTrue(Files.exists(place.resolve("x.source")), "it is not ours to remove");
    }
  }

  @Test
  void filesThatWereNamedByDigestAloneAreDropped() throws Exception {
    Image image = push("one", content(1));
    Path old = layout.images().resolve(image.digest().hex() + ".sqfs");
    Files.write(old, content(1));
    Files.write(
        layout.cacheDirectory().resolve("manifests/" + image.digest().hex()),
        image.manifest().bytes());
    layout.prepare();
    assertEquals(0, files());
  }

  @Timeout(60)
  @Test
  void anUnusableCacheDirectoryIsReportedToThoseWhoNeedIt() throws Exception {
    mayFetch.countDown();
    Path file = Files.createFile(directory.resolve("file"));
    layout = new CacheLayout(file.resolve("cache"), directory.resolve("run"));
    layout.prepare();
    ImageCache unusable = openCache(LIMITS);
    unusable.recover(served -> true);
    Image image = push("one", content(1));
    Abort abort = assertThrows(Abort.class, () -> unusable.lease(image, UID, true, done -> {}));
    assertTrue(abort.getMessage().contains(file.toString()), abort.getMessage());
  }

  @Timeout(60)
  @Test
  void nobodyWaitsForEverWhenMemoryRunsOut() throws Exception {
    Image image = push("one", content(1));
    ImageCache poor =
        new ImageCache(
            layout,
            LIMITS,
            PACE,
            () -> {
              throw new OutOfMemoryError("Cannot reserve 4194304 bytes of direct buffer memory");
            },
            () -> {});
    poor.open();
    for (boolean whole : List.of(true, false)) {
      Abort abort = assertThrows(Abort.class, () -> poor.lease(image, UID, whole, done -> {}));
      assertTrue(abort.getMessage().contains("direct buffer memory"), abort.getMessage());
    }
  }

  /** As a launcher does that is killed, when image servers had opened the files. */
  private ImageKey leaveUnfinished(Image image) throws Exception {
    ImageFill.begin(layout, image, PACE);
    ImageKey key = ImageKey.of(image);
    for (Path fifo : List.of(layout.fillWanted(key), layout.fillArrived(new MountKey(key, UID)))) {
      assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    }
    return key;
  }

  private void awaitFiles(long count) {
    while (files() != count) {
      Thread.onSpinWait();
    }
  }
}
