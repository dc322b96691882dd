package org.layercake.launcher;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
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
import org.layercake.store.FetchListener;
import org.layercake.store.Image;
import org.layercake.store.ImageConfig;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreConfig;
import org.layercake.store.StoreException;

class ImageCacheTest {
  private static final int BYTES = 6 << 20;
  private static final ImageFill.Pace PACE = new ImageFill.Pace(1 << 30, 600);
  private static final String USER = System.getProperty("user.name");

  @TempDir Path directory;
  private CacheLayout layout;
  private ImageStore store;
  private ImageCache cache;
  private final AtomicInteger fetches = new AtomicInteger();
  private final CountDownLatch mayFetch = new CountDownLatch(1);
  private volatile boolean answers = true;

  @BeforeEach
  void openCacheForTwoImages() throws Exception {
    layout = new CacheLayout(directory.resolve("cache"), directory.resolve("run"));
    layout.prepare();
    Properties properties = new Properties();
    properties.setProperty("store", "directory");
    properties.setProperty(
        "directory", Files.createDirectory(directory.resolve("store")).toString());
    store = ImageStore.open(StoreConfig.forNode(properties));
    cache = new ImageCache(layout, 2 * BYTES, PACE, this::awaitStore, () -> {});
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
    store.close();
  }

  @Test
  void fetchesAnImageOnceForManyWhoAsk() throws Exception {
    Image image = push("one", content(1));
    ExecutorService askers = Executors.newFixedThreadPool(20);
    List<Future<ImageCache.Lease>> leases = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      boolean whole = i % 2 == 0;
      leases.add(askers.submit(() -> cache.lease(image, whole, done -> {})));
    }
    mayFetch.countDown();
    for (int i = 0; i < 20; i++) {
      Path file = leases.get(i).get().file();
      if (i % 2 == 0) {
        assertArrayEquals(content(1), Files.readAllBytes(file));
      }
    }
    askers.shutdown();
    assertEquals(1, fetches.get());
  }

  @Test
  void whoeverWaitsForAFetchHearsOfIt() throws Exception {
    Image image = push("one", content(1));
    ExecutorService askers = Executors.newFixedThreadPool(2);
    List<AtomicLong> heard = List.of(new AtomicLong(), new AtomicLong());
    List<Future<ImageCache.Lease>> leases = new ArrayList<>();
    for (AtomicLong each : heard) {
      leases.add(askers.submit(() -> cache.lease(image, true, each::set)));
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
      assertThrows(Abort.class, () -> cache.lease(image, whole, done -> {}));
    }
    awaitFiles(0);
    Files.move(away, chunks);
    lease(image).close();
    assertArrayEquals(content(1), Files.readAllBytes(layout.image(image.digest())));
    assertEquals(2, files(), "image and manifest");
  }

  @Timeout(60)
  @Test
  void whoeverStartsHearsThatTheStoreDoesNotAnswer() throws Exception {
    Image image = push("one", content(1));
    ImageFill.begin(layout, image, PACE);
    for (Path fifo :
        List.of(layout.fillWanted(image.digest()), layout.fillArrived(image.digest()))) {
      assertEquals(0, new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor());
    }
    answers = false;
    cache.recover(served -> true);
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
    ImageCache.Lease lease = cache.lease(image, false, listener);
    mayFetch.countDown();
    assertEquals("no answer", heard.get());
    answers = true;
    awaitFiles(2);
    assertArrayEquals(content(1), Files.readAllBytes(layout.image(image.digest())));
    lease.close();
  }

  @Test
  void evictsTheLeastRecentlyLeasedImageThatNobodyHolds() throws Exception {
    mayFetch.countDown();
    Image second = push("two", content(2));
    Image third = push("three", content(3));
    ImageCache.Lease held = lease(push("one", content(1)));
    lease(second).close();
    lease(third).close();
    assertTrue(Files.exists(held.file()));
    assertFalse(Files.exists(layout.image(second.digest())));
    assertFalse(Files.exists(layout.manifest(second.digest())));
    assertTrue(Files.exists(layout.image(third.digest())));
  }

  @Test
  void refusesAnImageForWhichLeasedImagesLeaveNoRoom() throws Exception {
    mayFetch.countDown();
    Image third = push("three", content(3));
    ImageCache.Lease first = lease(push("one", content(1)));
    ImageCache.Lease second = lease(push("two", content(2)));
    Abort abort = assertThrows(Abort.class, () -> lease(third));
    assertEquals(Abort.CANNOT_CREATE, abort.exitCode());
    first.close();
    first.close();
    lease(third).close();
    assertTrue(Files.exists(second.file()));
  }

  @Test
  void aRestartDropsWhatWasNeverPublished() throws Exception {
    mayFetch.countDown();
    lease(push("one", content(1))).close();
    Image second = push("two", content(2));
    Files.write(layout.staging(second.digest()), content(2));
    Files.write(layout.manifest(second.digest()), second.manifest().bytes());
    layout.prepare();
    assertEquals(2, files(), "image and manifest of the first");
  }

  @Test
  void whatAnotherImageHasIsCopiedFromThere() throws Exception {
    mayFetch.countDown();
    lease(push("old", content(1))).close();
    Image image = push("new", changed());
    // What they share has gone from the store, but for the first chunk, which is wanted at once.
    for (String chunk : shared(image).subList(1, shared(image).size())) {
      Files.delete(chunks().resolve(chunk));
    }
    lease(image).close();
    assertArrayEquals(changed(), Files.readAllBytes(layout.image(image.digest())));
  }

  @Test
  void whatIsDamagedInAnotherImageIsFetched() throws Exception {
    mayFetch.countDown();
    Image old = push("old", content(1));
    lease(old).close();
    Files.write(layout.image(old.digest()), new byte[BYTES], StandardOpenOption.WRITE);
    Image image = push("new", changed());
    lease(image).close();
    assertArrayEquals(changed(), Files.readAllBytes(layout.image(image.digest())));
  }

  @Test
  void anImageThatIsCutShortIsNoSeed() throws Exception {
    mayFetch.countDown();
    Image old = push("old", content(1));
    lease(old).close();
    try (FileChannel file =
        FileChannel.open(layout.image(old.digest()), StandardOpenOption.WRITE)) {
      file.truncate(BYTES / 3);
    }
    Files.writeString(layout.manifest(push("other", content(2)).digest()), "{");
    Image image = push("new", changed());
    lease(image).close();
    assertArrayEquals(changed(), Files.readAllBytes(layout.image(image.digest())));
  }

  private List<String> shared(Image image) throws Exception {
    List<String> old =
        store.resolve(ImageName.parse("old"), USER).manifest().chunks().stream()
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
    return cache.lease(image, true, nobody);
  }

  private Image push(String name, byte[] content) throws Exception {
    ImageName image = ImageName.parse(name);
    store.push(
        Files.write(directory.resolve(name), content),
        image,
        USER,
        new ImageConfig(List.of(), "x86_64"),
        ImageStore.Existing.TRUST,
        store.pushAhead(image, USER, ImageStore.Existing.TRUST),
        (done, fresh) -> {});
    return store.resolve(image, USER);
  }

  private Path chunks() {
    return directory.resolve("store").resolve("u." + USER).resolve("c");
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
