package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** What is collected as garbage, whatever the back end. */
public abstract class CollectionContract extends StoreContract {
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
  void originsGoAfterTheirImages() throws Exception {
    AtomicLong hours = new AtomicLong(500_000);
    InstantSource clock = () -> Instant.ofEpochSecond(hours.get() * 3600);
    try (ImageStore timed = new ImageStore(connect(clock), clock, Chunker::cut)) {
      Origin origin = origin("docker://a.b/x:1", "one", "p");
      Digest image = push(timed, file("image", random(1 << 20, 29)), "deb:12", origin);
      push(timed, file("other", random(1 << 20, 30)), "kept", origin("docker://y", "two", "p"));
      hours.addAndGet(1000);
      assertEquals(0, collect(timed, false).objects(), "the images have tags");
      timed.remove(ImageName.parse("deb:12"), user);
      hours.addAndGet(25);
      assertTrue(collect(timed, true).objects() > 0);
      assertEquals(1, collect(timed, false).images());
      collect(timed, false);
      assertEquals(Optional.empty(), objects.trace(domain, ObjectNames.origin(image)));
      String packed = ObjectNames.packed(origin.source(), "p");
      assertEquals(Optional.empty(), objects.trace(domain, packed));
      assertTrue(
          timed
              .pushKnown(ImageName.parse("k"), user, origin("z", "two", "p").source(), "p")
              .isPresent());
    }
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

  private Garbage collect(ImageStore store, boolean dryRun) throws Exception {
    return store.collect(Optional.of(user), GarbageCollector.MIN_GRACE, dryRun).get(0);
  }
}
