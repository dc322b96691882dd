package org.layercake.store;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Pushes, removals, retaggings and collections at random in one domain, all at once, round after
 * round. Time is made up: every operation takes a second and some take more than a day, so that
 * graces end in the middle of pushes. After each round every tag must lead to a whole image.
 */
final class CollectionRace {
  /** Opens the store under test with a clock. */
  interface Connector {
    ObjectStore connect(InstantSource clock) throws Exception;
  }

  private static final List<String> TAGS = List.of("a:1", "a:2", "b:1");
  private static final int ACTORS = 5;
  private static final int ACTS = 3;
  private static final int CHUNK_BYTES = 8;

  /** What an actor may meet when others are faster: never damage. */
  private static final Set<StoreException.Kind> LOST_RACES =
      Set.of(StoreException.Kind.UNAVAILABLE, StoreException.Kind.NOT_FOUND);

  private final AtomicLong now =
      new AtomicLong(Instant.parse("2026-01-01T00:00:00Z").toEpochMilli());
  private final String user;
  private final Random random;
  private final Path directory;
  private final ImageStore quiet;
  private final ImageStore hasty;
  private final List<Digest> pushed = new ArrayList<>();
  private long collected;
  private long lostRaces;

  CollectionRace(Connector connector, String user, long seed, Path directory) throws Exception {
    this.user = user;
    this.random = new Random(seed);
    this.directory = directory;
    InstantSource clock = () -> Instant.ofEpochMilli(now.addAndGet(1000));
    ObjectStore objects = connector.connect(clock);
    quiet = new ImageStore(objects, clock, CollectionRace::cut);
    hasty = new ImageStore(new Jostled(objects, this::jostle), clock, CollectionRace::cut);
  }

  private static int cut(byte[] bytes, int from, int to) {
    return Math.min(CHUNK_BYTES, to - from);
  }

  /** Lets others go first, for a random while; sometimes the time of day leaps. */
  private void jostle() {
    int dice = nextInt(100);
    if (dice < 4) {
      now.addAndGet(Duration.ofHours(25).toMillis());
      LockSupport.parkNanos(3_000_000); // whoever begins now has another idea of what is old
    } else if (dice < 50) {
      LockSupport.parkNanos(nextInt(400_000));
    }
  }

  private synchronized int nextInt(int bound) {
    return random.nextInt(bound);
  }

  /** Runs the rounds, then empties the domain. Returns how many objects were collected. */
  long run(int rounds) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(ACTORS);
    try {
      for (int round = 0; round < rounds; round++) {
        List<Future<?>> actors = new ArrayList<>();
        for (int i = 0; i < ACTORS; i++) {
          actors.add(threads.submit(this::actSomeTimes));
        }
        for (Future<?> actor : actors) {
          actor.get();
        }
        requireWhole();
        now.addAndGet(Duration.ofHours(nextInt(40)).toMillis());
      }
    } finally {
      threads.shutdown();
    }
    requireEmptyInTheEnd();
    quiet.close();
    return collected;
  }

  long lostRaces() {
    return lostRaces;
  }

  /** So that acts begin in the middle of others. */
  private Void actSomeTimes() throws Exception {
    for (int i = 0; i < ACTS; i++) {
      act();
    }
    return null;
  }

  private void act() throws Exception {
    try {
      switch (nextInt(6)) {
        case 0, 1, 2 -> push();
        case 3 -> hasty.remove(name(), user);
        case 4 -> retag();
        default -> collect(hasty);
      }
    } catch (StoreException e) {
      if (!LOST_RACES.contains(e.kind())) {
        throw e;
      }
      synchronized (this) {
        lostRaces++;
      }
    }
  }

  /** One to three of four chunks: images share most of what they are made of. */
  private void push() throws StoreException, IOException {
    StringBuilder content = new StringBuilder();
    for (int chunk = 0; chunk <= nextInt(3); chunk++) {
      content.append("chunk %d.".formatted(nextInt(4)));
    }
    Path file = Files.createTempFile(directory, "image", "");
    ImageName name = name();
    Files.writeString(file, content.toString(), US_ASCII);
    try (ImagePush push = hasty.push(name, user, Existing.TRUST)) {
      Digest digest = push.complete(file, StoreContract.CONFIG, (done, fresh) -> {}).digest();
      synchronized (this) {
        pushed.add(digest);
      }
    } finally {
      Files.delete(file);
    }
  }

  /** Also by digest: of an image that no tag needs and a collection may have in hand. */
  private void retag() throws StoreException {
    Optional<Digest> digest;
    synchronized (this) {
      digest =
          pushed.isEmpty() ? Optional.empty() : Optional.of(pushed.get(nextInt(pushed.size())));
    }
    ImageName source = name();
    hasty.tag(
        digest.isEmpty() ? source : ImageName.parse(source.name() + "@" + digest.get()),
        name(),
        user);
  }

  private void collect(ImageStore store) throws StoreException {
    for (Garbage garbage : store.collect(Optional.of(user), GarbageCollector.MIN_GRACE, false)) {
      synchronized (this) {
        collected += garbage.objects();
      }
    }
  }

  private ImageName name() throws StoreException {
    return ImageName.parse(TAGS.get(nextInt(TAGS.size())));
  }

  private void requireWhole() throws StoreException, IOException {
    for (Tagged tag : quiet.list(user).images()) {
      if (tag.domain().equals(ObjectNames.domain(user))) {
        quiet.verify(quiet.resolve(tag.name(), user), done -> {});
      }
    }
  }

  private void requireEmptyInTheEnd() throws StoreException {
    for (Tagged tag : quiet.list(user).images()) {
      if (tag.domain().equals(ObjectNames.domain(user))) {
        quiet.remove(tag.name(), user);
      }
    }
    now.addAndGet(GarbageCollector.MIN_GRACE.multipliedBy(2).toMillis());
    collect(quiet);
    List<Garbage> rest = quiet.collect(Optional.of(user), GarbageCollector.MIN_GRACE, true);
    if (!rest.isEmpty()) {
      throw new AssertionError("left behind: " + rest);
    }
  }
}
