package org.layercake.store;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.ObjectStore.TagPart.NAME;
import static org.layercake.store.ObjectStore.TagPart.NAME_AND_VALUE;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.NonWritableChannelException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What every back end must do, alone and under an {@link ImageStore}. Each test works as a user of
 * its own, so one pool or directory serves all of them; the store's key must be allowed to write
 * anywhere.
 */
public abstract class StoreContract {
  protected static final ImageConfig CONFIG = new ImageConfig(List.of("A=1"), "x86_64");

  private static final AtomicInteger USERS = new AtomicInteger();

  @TempDir Path directory;

  private ObjectStore objects;
  private ImageStore images;
  private String user;
  private String domain;

  /** A new connection to the store under test. */
  abstract ObjectStore connect(InstantSource clock) throws Exception;

  @BeforeEach
  void open() throws Exception {
    objects = connect(InstantSource.system());
    images = new ImageStore(objects, InstantSource.system(), Chunker::cut);
    user =
        "t"
            + ProcessHandle.current().pid()
            + "-"
            + System.nanoTime()
            + "-"
            + USERS.incrementAndGet();
    domain = ObjectNames.domain(user);
  }

  @AfterEach
  void close() {
    images.close();
  }

  @Test
  void objectIsCreatedOnceAndReadBack() throws Exception {
    assertTrue(objects.create(domain, "c/a", direct("one")));
    assertFalse(objects.create(domain, "c/a", direct("other")));
    assertArrayEquals(bytes("one"), objects.read(domain, "c/a", 10).orElseThrow());
  }

  @Test
  void absentObjectIsNotAnErrorForReadAndTouch() throws Exception {
    assertEquals(Optional.empty(), objects.read(domain, "c/none", 10));
    assertFalse(objects.touch(domain, "c/none"));
    objects.create(domain, "c/a", direct("one"));
    assertTrue(objects.touch(domain, "c/a"));
  }

  @Test
  void objectLongerThanAllowedIsRefused() throws Exception {
    objects.create(domain, "c/a", direct("0123456789"));
    assertKind(StoreException.Kind.CORRUPT, () -> objects.read(domain, "c/a", 9));
    assertEquals(10, objects.read(domain, "c/a", 10).orElseThrow().length);
  }

  @Test
  void objectOfSeveralMebibytesIsReadWhole() throws Exception {
    for (int size : new int[] {1 << 20, (1 << 20) + 1, (2 << 20) - 1, 5 << 20}) {
      ByteBuffer content = ByteBuffer.allocateDirect(size).put(0, random(size, size));
      objects.create(domain, "c/" + size, content);
      assertArrayEquals(
          random(size, size), objects.read(domain, "c/" + size, 8 << 20).orElseThrow());
    }
  }

  @Test
  void asynchronousReadsFillTheirOwnBuffers() throws Exception {
    List<ObjectStore.PendingRead> reads = new ArrayList<>();
    List<ByteBuffer> buffers = new ArrayList<>();
    ObjectStore.Copy[] copies = ObjectStore.Copy.values();
    for (int i = 0; i < 20; i++) {
      objects.create(domain, "c/" + i, direct("content " + i));
    }
    for (int i = 0; i < 20; i++) {
      buffers.add(ByteBuffer.allocateDirect(100));
      reads.add(objects.startRead(domain, "c/" + i, buffers.get(i), copies[i % copies.length]));
    }
    for (int i = 0; i < 20; i++) {
      byte[] found = new byte[reads.get(i).await()];
      buffers.get(i).get(0, found);
      assertArrayEquals(bytes("content " + i), found);
    }
  }

  @Test
  void asynchronousReadOfAnAbsentObjectIsNotFound() throws Exception {
    ObjectStore.PendingRead read =
        objects.startRead(
            domain, "c/none", ByteBuffer.allocateDirect(10), ObjectStore.Copy.PREFERRED);
    assertKind(StoreException.Kind.NOT_FOUND, read::await);
  }

  @Test
  void cancelledReadEndsInBoundedTime() throws Exception {
    objects.create(domain, "c/a", ByteBuffer.allocateDirect(4 << 20));
    ObjectStore.PendingRead read =
        objects.startRead(
            domain, "c/a", ByteBuffer.allocateDirect(4 << 20), ObjectStore.Copy.PREFERRED);
    read.cancel();
    try {
      assertEquals(4 << 20, read.await());
    } catch (StoreException e) {
      assertEquals(StoreException.Kind.UNAVAILABLE, e.kind());
    }
  }

  @Test
  void tagMovesOnlyFromWhatTheCallerSaw() throws Exception {
    Optional<byte[]> one = Optional.of(bytes("one"));
    Optional<byte[]> two = Optional.of(bytes("two"));
    assertEquals(Optional.empty(), objects.readTag(domain, "deb/12"));
    assertFalse(objects.swapTag(domain, "deb/12", one, two), "there is none yet");
    assertTrue(objects.swapTag(domain, "deb/12", Optional.empty(), one));
    assertFalse(objects.swapTag(domain, "deb/12", Optional.empty(), two), "there is one");
    assertFalse(objects.swapTag(domain, "deb/12", two, one), "it is another");
    assertTrue(objects.swapTag(domain, "deb/12", one, two));
    assertArrayEquals(bytes("two"), objects.readTag(domain, "deb/12").orElseThrow());
    assertTrue(objects.swapTag(domain, "deb/12", two, Optional.empty()));
    assertEquals(Optional.empty(), objects.readTag(domain, "deb/12"));
  }

  @Test
  void ofConcurrentMovesOfOneTagExactlyOneWins() throws Exception {
    int contenders = 8;
    int wins = 0;
    for (Future<Boolean> won :
        together(
            contenders,
            i ->
                objects.swapTag(
                    domain, "race/x", Optional.empty(), Optional.of(bytes("by " + i))))) {
      wins += won.get() ? 1 : 0;
    }
    assertEquals(1, wins);
  }

  @Test
  void tagsAreListedSortedAndBounded() throws Exception {
    assertTrue(
        objects.listTags(domain, NAME_AND_VALUE, 10).tags().isEmpty(),
        "a domain that does not exist");
    for (int i = 0; i < 30; i++) {
      objects.swapTag(
          domain, "deb/%02d".formatted(i), Optional.empty(), Optional.of(bytes("v" + i)));
    }
    assertEquals(30, objects.listTags(domain, NAME_AND_VALUE, 100).tags().size());
    assertEquals("deb/00", objects.listTags(domain, NAME_AND_VALUE, 100).tags().firstKey());
    assertArrayEquals(
        bytes("v29"), objects.listTags(domain, NAME_AND_VALUE, 100).tags().get("deb/29"));
    assertTrue(objects.listTags(domain, NAME_AND_VALUE, 30).isComplete());
    assertEquals(7, objects.listTags(domain, NAME_AND_VALUE, 7).tags().size());
    assertFalse(objects.listTags(domain, NAME_AND_VALUE, 7).isComplete());
    assertEquals(
        objects.listTags(domain, NAME_AND_VALUE, 100).tags().keySet(),
        objects.listTags(domain, NAME, 100).tags().keySet());
    assertEquals(0, objects.listTags(domain, NAME, 100).tags().get("deb/29").length);
  }

  @Test
  void moreTagsThanOneRequestCarriesAreListed() throws Exception {
    for (int i = 0; i < 600; i++) {
      objects.swapTag(domain, "n/" + i, Optional.empty(), Optional.of(bytes("v")));
    }
    assertEquals(600, objects.listTags(domain, NAME_AND_VALUE, 10_000).tags().size());
    assertEquals(600, objects.listTags(domain, NAME, 10_000).tags().size());
  }

  @Test
  void listingHoldsNoMoreThanSomeMebibytesOfTags() throws Exception {
    byte[] large = random(ObjectStore.MAX_TAG_BYTES, 60);
    for (int i = 0; i < 300; i++) {
      objects.swapTag(domain, "n/" + i, Optional.empty(), Optional.of(large));
    }
    ObjectStore.TagList listed = objects.listTags(domain, NAME_AND_VALUE, 10_000);
    long held = listed.tags().values().stream().mapToLong(value -> value.length).sum();
    assertFalse(listed.isComplete());
    assertTrue(held > 3 << 20 && held <= ObjectStore.MAX_LISTED_BYTES, "held " + held);
  }

  @Test
  void pushedImageIsFetchedUnchanged() throws Exception {
    Path source = file("image", random(20 << 20, 1));
    PushResult pushed = push(source, "deb:12");
    assertEquals(20 << 20, pushed.size());
    assertEquals(20 << 20, pushed.newBytes());
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    assertEquals(pushed.digest(), image.digest());
    assertEquals(CONFIG, image.manifest().config());
    assertEquals(-1, Files.mismatch(source, fetch(image)));
  }

  @Test
  void secondPushOfTheSameImageSendsNothing() throws Exception {
    Path source = file("image", random(9 << 20, 2));
    Digest first = push(source, "deb:12").digest();
    PushResult second = push(source, "deb:13");
    assertEquals(0, second.newBytes());
    assertEquals(first, second.digest());
  }

  @Test
  void insertedBytesCostOnlyTheChunksAroundThem() throws Exception {
    byte[] before = random(40 << 20, 3);
    byte[] after = new byte[before.length + 1000];
    System.arraycopy(before, 0, after, 0, 20 << 20);
    System.arraycopy(before, 20 << 20, after, (20 << 20) + 1000, 20 << 20);
    push(file("before", before), "deb:12");
    long sent = push(file("after", after), "deb:12").newBytes();
    assertTrue(sent <= 2L * Chunker.MAX_BYTES, "sent " + sent);
  }

  @Test
  void interruptedPushIsInvisibleAndResumes() throws Exception {
    Path source = file("image", random(40 << 20, 4));
    assertThrows(
        IllegalStateException.class,
        () ->
            images.push(
                source,
                ImageName.parse("deb:12"),
                user,
                CONFIG,
                ImageStore.Existing.TRUST,
                images.pushAhead(ImageName.parse("deb:12"), user, ImageStore.Existing.TRUST),
                (done, fresh) -> {
                  if (done > 10 << 20) {
                    throw new IllegalStateException("pulled the plug");
                  }
                }));
    assertKind(
        StoreException.Kind.NOT_FOUND, () -> images.resolve(ImageName.parse("deb:12"), user));
    assertTrue(images.list(user).images().stream().noneMatch(tag -> tag.domain().equals(domain)));
    long rest = push(source, "deb:12").newBytes();
    assertTrue(rest > 0 && rest <= 30 << 20, "sent " + rest);
    assertEquals(
        -1, Files.mismatch(source, fetch(images.resolve(ImageName.parse("deb" + ":12"), user))));
  }

  @Test
  void concurrentPushesOfOneTagLeaveOneOfThemWhole() throws Exception {
    List<Path> sources = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      sources.add(file("image" + i, random(6 << 20, 50 + i)));
    }
    List<Digest> winners = new ArrayList<>();
    for (Future<PushResult> pushed : together(4, i -> push(sources.get(i), "deb:12"))) {
      try {
        winners.add(pushed.get().digest());
      } catch (java.util.concurrent.ExecutionException e) {
        assertEquals(StoreException.Kind.UNAVAILABLE, ((StoreException) e.getCause()).kind());
      }
    }
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    assertTrue(winners.contains(image.digest()));
    fetch(image);
  }

  @Test
  void corruptChunkIsNamedAndRepairedByAPush() throws Exception {
    Path source = file("image", random(9 << 20, 6));
    push(source, "deb:12");
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    String chunk = ObjectNames.chunk(image.manifest().chunks().get(1).digest());
    objects.overwrite(domain, chunk, direct("rubbish"));
    StoreException e = assertKind(StoreException.Kind.CORRUPT, () -> fetch(image));
    assertTrue(e.getMessage().contains(chunk), e.getMessage());
    images.push(
        source,
        ImageName.parse("deb:12"),
        user,
        CONFIG,
        ImageStore.Existing.VERIFY,
        images.pushAhead(ImageName.parse("deb:12"), user, ImageStore.Existing.VERIFY),
        (done, fresh) -> {});
    assertEquals(-1, Files.mismatch(source, fetch(image)));
  }

  @Test
  void missingChunkIsCorruptNotUnknown() throws Exception {
    Manifest manifest =
        new Manifest(
            Chunker.ID, 5, CONFIG, List.of(new Manifest.Chunk(Digest.of(bytes(user)), 0, 5)));
    Digest digest = Digest.of(manifest.bytes());
    objects.create(domain, ObjectNames.manifest(digest), direct(manifest.bytes()));
    Image image = images.resolve(ImageName.parse("x@" + digest), user);
    assertKind(StoreException.Kind.CORRUPT, () -> fetch(image));
  }

  @Test
  void corruptManifestIsRefused() throws Exception {
    PushResult pushed = push(file("image", random(1 << 20, 7)), "deb:12");
    objects.overwrite(domain, ObjectNames.manifest(pushed.digest()), direct("{}"));
    assertKind(StoreException.Kind.CORRUPT, () -> images.resolve(ImageName.parse("deb:12"), user));
  }

  @Test
  void interruptEndsAFetchAndFreesItsBuffers() throws Exception {
    push(file("image", random(40 << 20, 8)), "deb:12");
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    for (int i = 0; i < 5; i++) {
      Thread.currentThread().interrupt();
      assertThrows(InterruptedIOException.class, () -> fetch(image));
      assertTrue(Thread.interrupted());
    }
    fetch(image);
  }

  @Test
  void failureOfTheTargetFileEndsAFetch() throws Exception {
    push(file("image", random(40 << 20, 9)), "deb:12");
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    Path target = file("target", new byte[0]);
    try (FileChannel readOnly = FileChannel.open(target, StandardOpenOption.READ)) {
      assertThrows(
          NonWritableChannelException.class, () -> images.fetch(image, readOnly, done -> {}));
    }
    fetch(image);
  }

  @Test
  void manyFetchesShareTheBuffers() throws Exception {
    Path source = file("image", random(30 << 20, 10));
    push(source, "deb:12");
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    for (Future<Path> fetched : together(6, i -> fetch(image))) {
      assertEquals(-1, Files.mismatch(source, fetched.get()));
    }
  }

  @Test
  void digestPinsAnImageThatItsTagHasLeft() throws Exception {
    Digest old = push(file("old", random(1 << 20, 11)), "deb:12").digest();
    push(file("new", random(1 << 20, 12)), "deb:12");
    assertEquals(old, images.resolve(ImageName.parse("deb:12@" + old), user).digest());
  }

  @Test
  void unknownImageIsReportedWithNearNames() throws Exception {
    push(file("image", random(1 << 20, 13)), "debian:12");
    StoreException e =
        assertKind(
            StoreException.Kind.NOT_FOUND,
            () -> images.resolve(ImageName.parse("debain:12"), user));
    assertTrue(e.getMessage().contains(user + "/debian:12"), e.getMessage());
    assertTrue(e.getMessage().contains("the site's images"), e.getMessage());
  }

  @Test
  void imagesOfOtherUsersAreDeniedWhetherTheyExistOrNot() throws Exception {
    push(file("image", random(1 << 20, 14)), "deb:12");
    String here = user + "/deb:12";
    assertKind(StoreException.Kind.DENIED, () -> images.resolve(ImageName.parse(here), "eve"));
    assertKind(
        StoreException.Kind.DENIED, () -> images.resolve(ImageName.parse("nobody/x"), "eve"));
    assertKind(StoreException.Kind.NOT_FOUND, () -> images.resolve(ImageName.parse("deb:12"), "e"));
  }

  @Test
  void ownImageComesBeforeTheSitesAndRemovalUncoversIt() throws Exception {
    String name = "n" + System.nanoTime();
    Path source = file("image", random(1 << 20, 15));
    push(source, "site/" + name);
    assertEquals("site", images.resolve(ImageName.parse(name), user).domain());
    push(source, name);
    assertEquals(domain, images.resolve(ImageName.parse(name), user).domain());
    assertEquals("site", images.resolve(ImageName.parse("site/" + name), user).domain());
    images.remove(ImageName.parse(name), user);
    assertEquals("site", images.resolve(ImageName.parse(name), user).domain());
    images.remove(ImageName.parse("site/" + name), user);
    assertKind(StoreException.Kind.NOT_FOUND, () -> images.remove(ImageName.parse(name), user));
  }

  @Test
  void whatIsNoTagIsLeftOutOfTheListingAndCorruptWhenUsed() throws Exception {
    push(file("image", random(1 << 20, 17)), "deb:12");
    objects.swapTag(domain, "odd/1", Optional.empty(), Optional.of(bytes("rubbish")));
    objects.swapTag(domain, "stray", Optional.empty(), Optional.of(bytes("rubbish")));
    assertEquals(
        List.of(user + "/deb:12"),
        images.list(user).images().stream()
            .filter(tag -> tag.domain().equals(domain))
            .map(tag -> tag.name().toString())
            .toList());
    assertKind(StoreException.Kind.CORRUPT, () -> images.resolve(ImageName.parse("odd:1"), user));
  }

  @Test
  void secondTagPointsToTheSameImage() throws Exception {
    Digest digest = push(file("image", random(1 << 20, 16)), "deb:12").digest();
    images.tag(ImageName.parse("deb:12"), ImageName.parse("deb"), user);
    assertEquals(digest, images.resolve(ImageName.parse("deb:latest"), user).digest());
    assertKind(
        StoreException.Kind.INVALID,
        () -> images.tag(ImageName.parse("deb"), ImageName.parse("site/deb"), user));
  }

  @Test
  void objectIsRemovedOnlyIfNobodyHasTouchedItSince() throws Exception {
    AtomicLong seconds = new AtomicLong(1_000_000);
    try (ObjectStore timed = connect(() -> Instant.ofEpochSecond(seconds.get()))) {
      timed.create(domain, "c/a", direct("12345"));
      ObjectStore.Trace trace = timed.trace(domain, "c/a").orElseThrow();
      assertEquals(new ObjectStore.Trace(Instant.ofEpochSecond(1_000_000), 5), trace);
      seconds.incrementAndGet();
      assertTrue(timed.touch(domain, "c/a"));
      assertFalse(timed.remove(domain, "c/a", trace.seen()), "it was touched");
      Instant seen = timed.trace(domain, "c/a").orElseThrow().seen();
      assertEquals(Instant.ofEpochSecond(1_000_001), seen);
      assertTrue(timed.remove(domain, "c/a", seen));
      assertFalse(timed.remove(domain, "c/a", seen), "it has gone");
      assertEquals(Optional.empty(), timed.trace(domain, "c/a"));
      assertFalse(timed.touch(domain, "c/a"));
    }
  }

  @Test
  void objectsOfADomainAreListedOnceEach() throws Exception {
    List<String> expected = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      String object = (i % 3 == 0 ? "m/" : "c/") + Digest.of(bytes("o" + i)).hex();
      objects.create(domain, object, direct("x"));
      expected.add(object);
    }
    objects.swapTag(domain, "deb/12", Optional.empty(), Optional.of(bytes("v")));
    List<String> listed = new ArrayList<>();
    objects.list(
        Optional.of(domain),
        (where, object) -> {
          assertEquals(domain, where);
          listed.add(object);
        });
    listed.remove("t"); // RADOS keeps tags in an object
    expected.sort(null);
    listed.sort(null);
    assertEquals(expected, listed);
  }

  @Test
  void collectionTakesWhatNoTagNeedsAfterItsGrace() throws Exception {
    AtomicLong hours = new AtomicLong(500_000);
    InstantSource clock = () -> Instant.ofEpochSecond(hours.get() * 3600);
    try (ImageStore timed = new ImageStore(connect(clock), clock, Chunker::cut)) {
      byte[] shared = random(9 << 20, 20);
      Path old = file("old", shared);
      byte[] more = Arrays.copyOf(shared, 14 << 20);
      Arrays.fill(more, 9 << 20, more.length, (byte) 7);
      push(timed, old, "deb:11");
      Digest kept = push(timed, file("new", more), "deb:12").digest();
      hours.addAndGet(1000);
      assertEquals(new Garbage(domain, 0, 0, 0, 0), collect(timed, false), "both have tags");

      timed.remove(ImageName.parse("deb:11"), user);
      Garbage waiting = collect(timed, false);
      assertEquals(0, waiting.objects(), "the grace begins with the removal");
      assertTrue(waiting.waitingBytes() > 0, waiting.toString());

      hours.addAndGet(25);
      Garbage would = collect(timed, true);
      assertEquals(would, collect(timed, true), "a dry run removes nothing");
      assertEquals(1, would.images());
      assertTrue(would.bytes() < 9 << 20, "most is shared: " + would);
      assertEquals(would, collect(timed, false));
      assertEquals(new Garbage(domain, 0, 0, 0, 0), collect(timed, false));
      Image image = timed.resolve(ImageName.parse("deb:12"), user);
      assertEquals(kept, image.digest());
      timed.verify(image, done -> {});
      timed.remove(ImageName.parse("deb:12"), user);
      hours.addAndGet(25);
      assertTrue(collect(timed, false).bytes() > 9 << 20);
      assertEquals(
          List.of(),
          timed.collect(Optional.of(user), GarbageCollector.MIN_GRACE, true),
          "all is gone");
    }
  }

  @Test
  void startProfileIsKeptForAnImageAndReplaced() throws Exception {
    push(file("image", random(8 << 20, 22)), "deb:12");
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    assertEquals(StartProfile.NONE, images.startProfile(image));
    images.saveStartProfile(image, new StartProfile(List.of(3, 0, 1)));
    images.saveStartProfile(
        image, images.startProfile(image).with(new StartProfile(List.of(1, 2))));
    assertEquals(List.of(3, 0, 1, 2), images.startProfile(image).chunks());
  }

  @Test
  void startProfileOfChunksThatTheImageHasNotIsRefused() throws Exception {
    push(file("image", random(1 << 20, 23)), "deb:12");
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    for (String hostile :
        new String[] {"1000\n", "-1\n", "x", "9999999999\n", "0\n\n", "0 1", "0", "+0\n"}) {
      objects.overwrite(
          ObjectNames.LAUNCHERS, ObjectNames.profile(image.digest()), direct(hostile));
      assertKind(StoreException.Kind.CORRUPT, () -> images.startProfile(image));
    }
    objects.overwrite(
        ObjectNames.LAUNCHERS,
        ObjectNames.profile(image.digest()),
        direct(new byte[StartProfile.MAX_BYTES + 1]));
    assertKind(StoreException.Kind.CORRUPT, () -> images.startProfile(image));
  }

  @Test
  void unreadableManifestKeepsTheChunksOfItsDomainAndIsNamedWithItsImage() throws Exception {
    AtomicLong hours = new AtomicLong(500_000);
    InstantSource clock = () -> Instant.ofEpochSecond(hours.get() * 3600);
    try (ImageStore timed = new ImageStore(connect(clock), clock, Chunker::cut)) {
      Digest damaged = push(timed, file("image", random(1 << 20, 21)), "deb:12").digest();
      push(timed, file("other", random(1 << 20, 22)), "other");
      timed.remove(ImageName.parse("other"), user);
      objects.overwrite(domain, ObjectNames.manifest(damaged), direct("{}"));
      hours.addAndGet(25);
      Garbage garbage = collect(timed, false);
      assertEquals(1, garbage.images(), "the other's manifest");
      assertEquals(1, garbage.objects(), "no chunk");
      String message = garbage.problem().orElseThrow().getMessage();
      for (String part : new String[] {domain, damaged.toString(), user + "/deb:12", "rm deb:12"}) {
        assertTrue(message.contains(part), message);
      }
      timed.remove(ImageName.parse("deb:12"), user);
      hours.addAndGet(25);
      garbage = collect(timed, false);
      assertEquals(Optional.empty(), garbage.problem());
      assertTrue(garbage.objects() > 2, garbage.toString());
    }
  }

  @Test
  void largeDamagedManifestKeepsTheChunksOfItsDomainToo() throws Exception {
    Digest digest = push(file("image", random(1 << 20, 27)), "deb:12").digest();
    objects.overwrite(domain, ObjectNames.manifest(digest), direct(random(100_000, 28)));
    String message = collect(images, true).problem().orElseThrow().getMessage();
    assertTrue(message.contains("is damaged: "), message);
    assertKind(StoreException.Kind.CORRUPT, () -> images.resolve(ImageName.parse("deb:12"), user));
  }

  @Test
  void manifestThatWasStoredMalformedKeepsTheChunksOfItsDomainToo() throws Exception {
    byte[] hostile = bytes("{\"layercake\":2}");
    Digest digest = Digest.of(hostile);
    objects.create(domain, ObjectNames.manifest(digest), direct(hostile));
    objects.swapTag(domain, "x/1", Optional.empty(), Optional.of(new Tag(digest, 5).bytes()));
    Garbage garbage = collect(images, true);
    StoreException problem = garbage.problem().orElseThrow();
    assertEquals(StoreException.Kind.CORRUPT, problem.kind());
    assertTrue(problem.getMessage().contains("malformed: it is of version 2"), problem.toString());
    StoreException e =
        assertKind(StoreException.Kind.CORRUPT, () -> images.resolve(ImageName.parse("x:1"), user));
    for (String part : new String[] {"x:1", domain, digest.toString(), "version 2"}) {
      assertTrue(e.getMessage().contains(part), e.getMessage());
    }
  }

  @Test
  void malformedTagIsNamedAndReplacedByAPush() throws Exception {
    objects.swapTag(domain, "odd/1", Optional.empty(), Optional.of(bytes("rubbish")));
    StoreException e =
        assertKind(
            StoreException.Kind.CORRUPT, () -> images.resolve(ImageName.parse("odd:1"), user));
    assertTrue(e.getMessage().contains(user + "/odd:1"), e.getMessage());
    images.checkPush(ImageName.parse("odd:1"), user);
    Digest digest = push(file("image", random(1 << 20, 26)), "odd:1").digest();
    assertEquals(digest, images.resolve(ImageName.parse("odd:1"), user).digest());
  }

  @Test
  void graceTooShortForAPushIsRefused() {
    assertKind(
        StoreException.Kind.INVALID,
        () -> images.collect(Optional.of(user), Duration.ofHours(23), false));
  }

  /** How many rounds of how many races at once; each round is fifteen acts, five at once. */
  abstract int raceRounds();

  @Test
  void collectionsBesidePushesLoseNothing() throws Exception {
    int races = 6;
    AtomicLong collected = new AtomicLong();
    AtomicLong lost = new AtomicLong();
    for (Future<Long> race :
        together(
            races,
            i -> {
              CollectionRace one =
                  new CollectionRace(this::connect, user + "-" + i, 1000 + i, directory);
              long objects = one.run(raceRounds() / races);
              lost.addAndGet(one.lostRaces());
              return objects;
            })) {
      collected.addAndGet(race.get());
    }
    System.out.printf("collected %d objects, %d races lost%n", collected.get(), lost.get());
    assertTrue(collected.get() > raceRounds() / 10, "collected " + collected);
  }

  @Test
  void sharedNameIsRunByThoseItIsSharedWithAndNobodyElse() throws Exception {
    Digest digest = push(file("image", random(1 << 20, 22)), "deb:12").digest();
    ImageName shared = ImageName.parse(user + "/deb:12");
    ImageName pinned = ImageName.parse(user + "/deb@" + digest);
    assertKind(StoreException.Kind.DENIED, () -> images.resolveToRun(shared, "eve", group -> true));
    share(Audience.user("eve").with(Audience.group("phys")));
    assertEquals(digest, images.resolveToRun(shared, "eve", group -> false).digest());
    assertEquals(digest, images.resolveToRun(pinned, "eve", group -> false).digest());
    assertEquals(digest, images.resolveToRun(shared, "bob", "phys"::equals).digest());
    assertKind(
        StoreException.Kind.DENIED, () -> images.resolveToRun(shared, "bob", "chem"::equals));
    assertKind(StoreException.Kind.DENIED, () -> images.resolve(shared, "eve"));
    share(Audience.NOBODY);
    assertKind(StoreException.Kind.DENIED, () -> images.resolveToRun(shared, "eve", group -> true));
    share(Audience.ALL);
    assertEquals(digest, images.resolveToRun(shared, "bob", group -> false).digest());
    assertEquals(Audience.ALL, images.list(user).images().get(0).audience());
  }

  @Test
  void sharingOneNameDoesNotShareTheOthers() throws Exception {
    push(file("image", random(1 << 20, 23)), "deb:12");
    Digest secret = push(file("secret", random(1 << 20, 24)), "secret").digest();
    share(Audience.ALL);
    for (String name : List.of("/secret", "/deb@" + secret)) {
      assertKind(
          StoreException.Kind.DENIED,
          () -> images.resolveToRun(ImageName.parse(user + name), "eve", group -> true));
    }
  }

  @Test
  void damagedShareAdmitsNobody() throws Exception {
    push(file("image", random(1 << 20, 25)), "deb:12");
    String many = "user eve\n" + "user u%d\n".repeat(100);
    Optional<byte[]> before = Optional.empty();
    for (String damaged :
        new String[] {"al\n", "all", "user eve", "user eve\nall\n", "all\nall\n", "\n", many}) {
      Optional<byte[]> share = Optional.of(bytes(damaged));
      assertTrue(objects.swapTag(domain, "deb/.share", before, share));
      assertKind(
          StoreException.Kind.DENIED,
          () -> images.resolveToRun(ImageName.parse(user + "/deb:12"), "eve", group -> true));
      before = share;
    }
  }

  @Test
  void fileIsStoredWhileItGrowsAndOnlyItsFinalBytesCount() throws Exception {
    byte[] content = random(60 << 20, 30);
    Path source = file("growing", new byte[0]);
    List<Long> before = new ArrayList<>();
    PushResult result;
    try (PushAhead ahead =
            images.pushAhead(ImageName.parse("deb:12"), user, ImageStore.Existing.TRUST);
        FileChannel out = FileChannel.open(source, StandardOpenOption.WRITE)) {
      ahead.follow(source);
      out.write(ByteBuffer.wrap(content, 0, 40 << 20));
      await(() -> countObjects() >= 10);
      // The writer goes back and writes another superblock, and another end.
      random(1 << 20, 31, content, 0);
      random(1 << 20, 32, content, 30 << 20);
      out.write(ByteBuffer.wrap(content), 0);
      before.add(countObjects());
      result =
          images.push(
              source,
              ImageName.parse("deb:12"),
              user,
              CONFIG,
              ImageStore.Existing.TRUST,
              ahead,
              (done, fresh) -> {});
    }
    assertEquals(content.length, result.newBytes(), "what was stored ahead is new, too");
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    assertEquals(-1, Files.mismatch(source, fetch(image)));
    assertTrue(before.get(0) >= 10, "some of it was stored ahead");
  }

  @Test
  void fetchOfTheRestReadsOnlyWhatIsMissingOrWrong() throws Exception {
    Path source = file("image", random(30 << 20, 33));
    push(source, "deb:12");
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    Path target = file("partial", Arrays.copyOf(random(30 << 20, 33), 20 << 20));
    try (FileChannel channel =
        FileChannel.open(target, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.wrap(bytes("damage")), 5 << 20);
      AtomicLong first = new AtomicLong(Long.MAX_VALUE);
      AtomicInteger calls = new AtomicInteger();
      images.fetchRest(
          image,
          channel,
          done -> {
            calls.incrementAndGet();
            first.accumulateAndGet(done, Math::min);
          });
      int chunks = image.manifest().chunks().size();
      assertTrue(calls.get() > 5 && calls.get() < chunks * 2 / 3, calls + " of " + chunks);
      assertTrue(first.get() > 10 << 20, "what is there counts as done: " + first);
    }
    assertEquals(-1, Files.mismatch(source, target));
  }

  @Test
  void fillReadsWhatItIsToldToAndGoesOnWithoutALostChunk() throws Exception {
    byte[] content = random(30 << 20, 34);
    push(file("image", content), "deb:12");
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    List<Manifest.Chunk> chunks = image.manifest().chunks();
    objects.overwrite(domain, ObjectNames.chunk(chunks.get(2).digest()), direct("rubbish"));
    Set<Integer> stored = ConcurrentHashMap.newKeySet();
    Set<Integer> lost = ConcurrentHashMap.newKeySet();
    AtomicInteger next = new AtomicInteger(chunks.size());
    images.fill(
        image,
        new Filler() {
          @Override
          public Next next(int reading) {
            // One at a time, from the last to the first but two.
            if (next.get() == 2) {
              return Nothing.MORE;
            }
            return reading > 0 ? Nothing.YET : new Chunk(next.decrementAndGet());
          }

          @Override
          public void store(int chunk, ByteBuffer bytes) {
            int offset = (int) chunks.get(chunk).offset();
            assertEquals(ByteBuffer.wrap(content, offset, bytes.remaining()), bytes);
            stored.add(chunk);
          }

          @Override
          public void failed(int chunk, StoreException cause) {
            assertEquals(StoreException.Kind.CORRUPT, cause.kind());
            lost.add(chunk);
          }
        });
    assertEquals(Set.of(2), lost);
    assertEquals(chunks.size() - 3, stored.size());
  }

  private long countObjects() {
    AtomicLong count = new AtomicLong();
    try {
      objects.list(Optional.of(domain), (where, object) -> count.incrementAndGet());
    } catch (StoreException e) {
      throw new AssertionError(e);
    }
    return count.get();
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    for (int i = 0; i < 600 && !condition.getAsBoolean(); i++) {
      Thread.sleep(50);
    }
    assertTrue(condition.getAsBoolean());
  }

  private static void random(int size, long seed, byte[] target, int at) {
    System.arraycopy(random(size, seed), 0, target, at, size);
  }

  private void share(Audience audience) throws Exception {
    assertEquals(audience, images.share(ImageName.parse("deb"), user, now -> audience));
    assertEquals(audience, images.audience(ImageName.parse("deb"), user));
  }

  private Garbage collect(ImageStore store, boolean dryRun) throws Exception {
    return store.collect(Optional.of(user), GarbageCollector.MIN_GRACE, dryRun).get(0);
  }

  private PushResult push(Path source, String name) throws Exception {
    return push(images, source, name);
  }

  private PushResult push(ImageStore images, Path source, String name) throws Exception {
    return push(images, source, name, user);
  }

  static PushResult push(ImageStore images, Path source, String name, String user)
      throws Exception {
    return images.push(
        source,
        ImageName.parse(name),
        user,
        CONFIG,
        ImageStore.Existing.TRUST,
        images.pushAhead(ImageName.parse(name), user, ImageStore.Existing.TRUST),
        (done, fresh) -> {});
  }

  private Path fetch(Image image) throws Exception {
    Path target = Files.createTempFile(directory, "fetched", "");
    AtomicInteger calls = new AtomicInteger();
    try (FileChannel channel = FileChannel.open(target, StandardOpenOption.WRITE)) {
      images.fetch(image, channel, done -> calls.incrementAndGet());
    }
    assertEquals(image.manifest().chunks().size(), calls.get());
    return target;
  }

  private Path file(String name, byte[] content) throws IOException {
    return Files.write(directory.resolve(name), content);
  }

  private interface Numbered<T> {
    T call(int i) throws Exception;
  }

  private static <T> List<Future<T>> together(int count, Numbered<T> task) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(count);
    try {
      List<Callable<T>> calls = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        int number = i;
        calls.add(() -> task.call(number));
      }
      return threads.invokeAll(calls);
    } finally {
      threads.shutdown();
    }
  }

  static StoreException assertKind(
      StoreException.Kind kind, org.junit.jupiter.api.function.Executable act) {
    StoreException e = assertThrows(StoreException.class, act);
    assertEquals(kind, e.kind(), e.getMessage());
    return e;
  }

  private static ByteBuffer direct(String content) {
    return direct(bytes(content));
  }

  private static ByteBuffer direct(byte[] content) {
    return ByteBuffer.allocateDirect(content.length).put(0, content);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(US_ASCII);
  }

  private static byte[] random(int size, long seed) {
    byte[] content = new byte[size];
    new Random(seed).nextBytes(content);
    return content;
  }
}
