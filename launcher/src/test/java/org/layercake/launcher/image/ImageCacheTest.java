package org.layercake.launcher.image;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.layercake.launcher.node.Abort;
import org.layercake.launcher.node.Await;
import org.layercake.launcher.node.Descriptors;
import org.layercake.launcher.node.Program;
import org.layercake.store.Digest;
import org.layercake.store.ExitCode;
import org.layercake.store.FetchListener;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.Manifest;
import org.layercake.store.StoreException;

class ImageCacheTest {
  private static final int BYTES = 6 << 20;
  private static final ImageSettings.Pace PACE = new ImageSettings.Pace(1 << 30, 600);
  private static final ImageSettings.Limits LIMITS = new ImageSettings.Limits(2 * BYTES, 100, 64);
  private static final long UID = 1000;
  private static final String USER = System.getProperty("user.name");

  @TempDir Path directory;
  private CacheLayout layout;
  private TestStore images;
  private ImageStore store;
  private ImageCache cache;
  private final AtomicInteger fetches = new AtomicInteger();
  private final CountDownLatch mayFetch = new CountDownLatch(1);
  private volatile boolean answers = true;

  @BeforeEach
  void openCacheForTwoImages() throws Exception {
    layout = new CacheLayout(directory.resolve("cache"), directory.resolve("run"));
    layout.prepare();
    images = new TestStore(directory.resolve("store"));
    store = images.store();
    cache = openCache(LIMITS);
  }

  private ImageCache openCache(ImageSettings.Limits limits) {
    ImageCache opened = new ImageCache(layout, limits, PACE, this::awaitStore, () -> {});
    opened.open();
    return opened;
  }

  private ImageStore awaitStore() throws StoreException {
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

  private static int chunks(Image image) {
    return image.manifest().chunks().size();
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

  /** As a launcher does that is killed, when image servers had opened the files. */
  private ImageKey leaveUnfinished(Image image) throws Exception {
    ImageFill.begin(layout, image, PACE);
    ImageKey key = ImageKey.of(image);
    for (Path fifo : List.of(layout.fillWanted(key), layout.fillArrived(key))) {
      assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    }
    return key;
  }

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
  void chunksOfAnotherImageAreCopied() throws Exception {
    mayFetch.countDown();
    lease(push("old", content(1))).close();
    Image image = push("new", changed());
    // What they share has gone from the store, but for the first chunk, which is wanted at once.
    for (String chunk : shared(image).subList(1, shared(image).size())) {
      Files.delete(chunks().resolve(chunk));
    }
    lease(image).close();
    assertArrayEquals(changed(), Files.readAllBytes(layout.image(ImageKey.of(image))));
  }

  @Test
  void damagedChunksOfAnotherImageAreFetched() throws Exception {
    mayFetch.countDown();
    Image old = push("old", content(1));
    lease(old).close();
    Files.write(layout.image(ImageKey.of(old)), new byte[BYTES], StandardOpenOption.WRITE);
    Image image = push("new", changed());
    lease(image).close();
    assertArrayEquals(changed(), Files.readAllBytes(layout.image(ImageKey.of(image))));
  }

  @Test
  void aTruncatedImageSeedsNothing() throws Exception {
    mayFetch.countDown();
    Image old = push("old", content(1));
    lease(old).close();
    try (FileChannel file =
        FileChannel.open(layout.image(ImageKey.of(old)), StandardOpenOption.WRITE)) {
      file.truncate(BYTES / 3);
    }
    Files.writeString(layout.manifest(ImageKey.of(push("other", content(2)))), "{");
    Image image = push("new", changed());
    lease(image).close();
    assertArrayEquals(changed(), Files.readAllBytes(layout.image(ImageKey.of(image))));
  }

  /** A user can write any digests into a manifest, also those of another user's chunks. */
  @Timeout(60)
  @Test
  void chunksOfAnotherUsersImageAreNotGivenAwayForTheirDigests() throws Exception {
    mayFetch.countDown();
    cache.close();
    cache = openCache(new ImageSettings.Limits(10 * BYTES, 100, 64)); // both fit
    Image secret = pushAs("bob", "bob/secret", content(1));
    lease(secret).close();
    Manifest.Chunk first = push("own", content(2)).manifest().chunks().get(0);
    List<Manifest.Chunk> chunks = new ArrayList<>(List.of(first));
    long offset = first.length();
    for (Manifest.Chunk chunk : secret.manifest().chunks()) {
      chunks.add(new Manifest.Chunk(chunk.digest(), offset, chunk.length()));
      offset += chunk.length();
    }
    Image stolen =
        own(new Manifest(secret.manifest().chunker(), offset, secret.manifest().config(), chunks));
    Abort abort = assertThrows(Abort.class, () -> lease(stolen));
    assertEquals(74, abort.exitCode(), abort.getMessage());
    assertFalse(Files.exists(layout.image(ImageKey.of(stolen))));
  }

  @Timeout(60)
  @Test
  void anExactCopyOfAnotherUsersManifestIsAnotherImage() throws Exception {
    mayFetch.countDown();
    Image secret = pushAs("bob", "bob/secret", content(1));
    ImageCache.Lease bobs = lease(secret);
    Image copy = own(secret.manifest());
    assertEquals(secret.digest(), copy.digest());
    for (boolean whole : List.of(true, false)) {
      Abort abort = assertThrows(Abort.class, () -> cache.lease(copy, UID, whole, done -> {}));
      assertEquals(74, abort.exitCode(), abort.getMessage());
    }
    assertFalse(Files.exists(layout.image(ImageKey.of(copy))));
    assertFalse(layout.mountPoint(ImageKey.of(copy)).equals(layout.mountPoint(bobs.key())));
    bobs.close();
  }

  @Test
  void chunksOfTheSitesImagesAreCopiedForEveryUser() throws Exception {
    mayFetch.countDown();
    lease(pushAs("root", "site/base", content(1))).close();
    Image image = push("new", changed());
    for (String chunk : sharedWith("site/base", image).stream().skip(1).toList()) {
      Files.delete(chunks().resolve(chunk));
    }
    lease(image).close();
    assertArrayEquals(changed(), Files.readAllBytes(layout.image(ImageKey.of(image))));
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

  private List<String> shared(Image image) throws Exception {
    return sharedWith("old", image);
  }

  private List<String> sharedWith(String name, Image image) throws Exception {
    List<String> old =
        store.resolve(ImageName.parse(name), USER).manifest().chunks().stream()
            .map(chunk -> chunk.digest().hex())
            .toList();
    List<String> shared =
        image.manifest().chunks().stream()
            .map(chunk -> chunk.digest().hex())
            .filter(old::contains)
            .toList();
    assertTrue(shared.size() > 1, "the images share chunks");
    assertTrue(shared.size() < old.size(), "but not all");
    return shared;
  }

  private ImageCache.Lease lease(Image image) throws Exception {
    FetchListener nobody = done -> {};
    return cache.lease(image, UID, true, nobody);
  }

  private Image push(String name, byte[] content) throws Exception {
    return pushAs(USER, name, content);
  }

  private Image pushAs(String user, String name, byte[] content) throws Exception {
    return images.push(user, name, Files.write(directory.resolve("pushed"), content));
  }

  /** An image of this user's domain that has no more than its manifest. */
  private Image own(Manifest manifest) throws Exception {
    push("own", content(9)); // there is the domain
    byte[] bytes = manifest.bytes();
    Digest digest = Digest.of(bytes);
    Path domain = images.domain(USER);
    Files.write(domain.resolve("m").resolve(digest.hex()), bytes);
    return store.resolve(ImageName.parse("own@" + digest), USER);
  }

  private Path chunks() {
    return images.domain(USER).resolve("c");
  }

  private void awaitFiles(long count) {
    while (files() != count) {
      Thread.onSpinWait();
    }
  }

  private long files() {
    return Stream.of("images", "manifests", "staging")
        .mapToLong(each -> layout.cacheDirectory().resolve(each).toFile().list().length)
        .sum();
  }

  private static byte[] content(int seed) {
    byte[] bytes = new byte[BYTES];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  /** The first image, rebuilt with one change. */
  private static byte[] changed() {
    byte[] bytes = content(1);
    bytes[BYTES / 2]++;
    return bytes;
  }
}
