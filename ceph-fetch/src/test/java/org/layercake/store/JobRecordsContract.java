package org.layercake.store;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.StoreContract.assertKind;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One job, one image: what every back end must make true. Each test has a user of its own. */
public abstract class JobRecordsContract {
  private static final AtomicInteger USERS = new AtomicInteger();
  private static final JobRef.Submitted NOT_ASKED =
      () -> {
        throw new AssertionError("asked for a job whose record is new");
      };

  @TempDir Path directory;

  private final AtomicReference<Instant> now =
      new AtomicReference<>(Instant.parse("2026-05-01T12:00:00Z"));
  private final InstantSource clock = now::get;
  private ObjectStore objects;
  private ImageStore node;
  private String user;

  /** A new connection to the store under test. */
  abstract ObjectStore connect(InstantSource clock) throws Exception;

  @BeforeEach
  void open() throws Exception {
    objects = connect(clock);
    node = new ImageStore(objects, clock, Chunker::cut);
    user = "j" + ProcessHandle.current().pid() + "-" + USERS.incrementAndGet();
  }

  @AfterEach
  void close() {
    node.close();
  }

  @Test
  void oneOfAJobsNodesTellsOfAnImage() throws Exception {
    JobRef job = new JobRef("c", 1, 1001);
    ImageName name = ImageName.parse(user + "/deb");
    Digest digest = Digest.of(new byte[0]);
    String domain = ImageStore.domain(user);
    try (ImageStore other = new ImageStore(connect(clock), clock, Chunker::cut)) {
      assertTrue(node.claimComment(job, name, domain, digest));
      assertFalse(other.claimComment(job, name, domain, digest));
      assertTrue(other.claimComment(job, ImageName.parse(user + "/deb:12"), domain, digest));
      assertTrue(other.claimComment(new JobRef("c", 2, 1001), name, domain, digest));
    }
  }

  @Test
  void aProbeChangesNothing() throws Exception {
    node.probeForLauncher();
    assertEquals(Optional.empty(), objects.trace(ObjectNames.LAUNCHERS, "probe"));
    assertEquals(
        Optional.empty(),
        objects.read(ObjectNames.LAUNCHERS, "probe", 1, ObjectStore.Copy.PRIMARY));
  }

  @Test
  void jobKeepsTheImageOfItsFirstNodeWhenItsTagMovesAndGoes() throws Exception {
    Digest first = push("deb:12", 1);
    assertEquals(first, run(job(1), "deb:12"));
    Digest second = push("deb:12", 2);
    assertEquals(first, run(job(1), "deb:12"));
    assertEquals(second, run(job(2), "deb:12"));
    node.remove(ImageName.parse("deb:12"), user);
    try (ImageStore other = new ImageStore(connect(clock), clock, Chunker::cut)) {
      Image image = other.resolveForJob(job(1), ImageName.parse("deb:12"), user, group -> false);
      assertEquals(first, image.digest());
      assertEquals(user + "/deb:12@" + first, image.pinned().toString());
      other.verify(image, done -> {});
    }
    assertKind(StoreException.Kind.NOT_FOUND, () -> run(job(3), "deb:12"));
  }

  @Test
  void nodesThatAskWhileTheTagMovesAllGetOneImage() throws Exception {
    for (int round = 0; round < 5; round++) {
      push("deb:12", 10 * round);
      JobRef job = job(round);
      List<Callable<Digest>> acts = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        acts.add(() -> run(job, "deb:12"));
      }
      int seed = 10 * round + 1;
      acts.add(3, () -> push("deb:12", seed));
      List<Digest> digests = together(acts);
      digests.remove(3);
      assertEquals(1, new HashSet<>(digests).size(), digests.toString());
    }
  }

  @Test
  void otherJobsUsersClustersAndNamesAreSettledApart() throws Exception {
    Digest first = push("deb:12", 1);
    JobRef job = job(1);
    assertEquals(first, run(job, "deb:12"));
    Digest second = push("deb:12", 2);
    assertEquals(second, run(new JobRef(job.cluster(), 1, job.uid() + 1, NOT_ASKED), "deb:12"));
    assertEquals(second, run(new JobRef(job.cluster() + "2", 1, job.uid(), NOT_ASKED), "deb:12"));
    assertEquals(second, run(job, user + "/deb:12"));
    assertEquals(first, run(job, "deb:12"));
  }

  @Test
  void nameWithADigestNeedsNoRecord() throws Exception {
    Digest first = push("deb:12", 1);
    push("deb:12", 2);
    String pinned = "deb:12@" + first;
    assertEquals(first, run(job(1), pinned));
    assertEquals(
        Optional.empty(),
        objects.read(
            ObjectNames.LAUNCHERS, ObjectNames.record(job(1), ImageName.parse(pinned)), 1000));
  }

  @Test
  void sharedImageIsSettledByWhoMayRunItAndKeptWhenItIsNotSharedAnyMore() throws Exception {
    Digest first = push("deb:12", 1);
    ImageName name = ImageName.parse(user + "/deb:12");
    assertKind(
        StoreException.Kind.DENIED, () -> node.resolveForJob(job(1), name, "eve", group -> true));
    node.share(ImageName.parse("deb"), user, audience -> Audience.ALL);
    assertEquals(first, node.resolveForJob(job(1), name, "eve", group -> true).digest());
    node.share(ImageName.parse("deb"), user, audience -> Audience.NOBODY);
    assertEquals(first, node.resolveForJob(job(1), name, "eve", group -> true).digest());
    assertKind(
        StoreException.Kind.DENIED, () -> node.resolveForJob(job(2), name, "eve", group -> true));
  }

  @Test
  void recordOfAnEarlierJobOfTheSameIdIsReplaced() throws Exception {
    Digest first = push("deb:12", 1);
    assertEquals(first, run(job(1), "deb:12"));
    Digest second = push("deb:12", 2);
    pass(Duration.ofHours(3));
    JobRef requeued = new JobRef("c", 1, uid(), Optional::empty);
    assertEquals(first, run(requeued, "deb:12"));
    Instant early = now.get().minus(Duration.ofHours(4));
    assertEquals(first, run(new JobRef("c", 1, uid(), () -> Optional.of(early)), "deb:12"));
    Instant late = now.get().minus(Duration.ofHours(1));
    JobRef another = new JobRef("c", 1, uid(), () -> Optional.of(late));
    assertEquals(second, run(another, "deb:12"));
    push("deb:12", 3);
    assertEquals(second, run(another, "deb:12"));
    pass(Duration.ofHours(5));
    assertEquals(second, run(another, "deb:12"));
    assertEquals(second, run(requeued, "deb:12"));
  }

  @Test
  void recordThatClocksMakeSeemOlderThanItsJobIsKept() throws Exception {
    Digest first = push("deb:12", 1);
    Instant submitted = now.get().plus(Duration.ofMinutes(5));
    assertEquals(first, run(job(1), "deb:12"));
    push("deb:12", 2);
    pass(Duration.ofHours(1));
    assertEquals(first, run(new JobRef("c", 1, uid(), () -> Optional.of(submitted)), "deb:12"));
  }

  @Test
  void nodesThatReplaceARecordAtOnceAllGetOneImage() throws Exception {
    push("deb:12", 1);
    JobRef old = job(1);
    run(old, "deb:12");
    pass(Duration.ofHours(1));
    Digest second = push("deb:12", 2);
    Instant submitted = now.get();
    JobRef job = new JobRef("c", 1, uid(), () -> Optional.of(submitted));
    List<Callable<Digest>> acts = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      acts.add(() -> run(job, "deb:12"));
    }
    assertEquals(Set.of(second), new HashSet<>(together(acts)));
  }

  @Test
  void damagedRecordIsRefusedAndNamed() throws Exception {
    push("deb:12", 1);
    String object = ObjectNames.record(job(1), ImageName.parse("deb:12"));
    String digest = Digest.of(new byte[0]).toString();
    for (String hostile :
        new String[] {
          "",
          "\n",
          user + " " + digest + "\n",
          user + " " + digest + " 2026-05-01T12:00:00Z",
          user + " " + digest + " 2026-05-01T12:00:00Z\n\n",
          user + " " + digest + " 2026-99-01T12:00:00Z\n",
          "../" + user + " " + digest + " 2026-05-01T12:00:00Z\n",
          user + " " + digest + " 2026-05-01T12:00:00Z\n" + "x".repeat(1 << 20)
        }) {
      objects.overwrite(ObjectNames.LAUNCHERS, object, direct(hostile));
      StoreException e = assertKind(StoreException.Kind.CORRUPT, () -> run(job(1), "deb:12"));
      assertTrue(e.getMessage().contains(object), e.getMessage());
    }
  }

  @Test
  void recordThatNamesAnothersImageIsRefused() throws Exception {
    Digest digest = push("deb:12", 1);
    String object = ObjectNames.record(job(1), ImageName.parse("deb:12"));
    objects.overwrite(
        ObjectNames.LAUNCHERS, object, direct(user + " " + digest + " 2026-05-01T12:00:00Z\n"));
    assertKind(
        StoreException.Kind.CORRUPT,
        () -> node.resolveForJob(job(1), ImageName.parse("deb:12"), "victim", group -> true));
  }

  @Test
  void jobWhoseImageWasCollectedSaysSo() throws Exception {
    Digest first = push("deb:12", 1);
    run(job(1), "deb:12");
    push("deb:12", 2);
    pass(Duration.ofDays(2));
    node.collect(Optional.of(user), Duration.ofDays(1), false);
    try (ImageStore other = new ImageStore(connect(clock), clock, Chunker::cut)) {
      StoreException e =
          assertKind(
              StoreException.Kind.NOT_FOUND,
              () ->
                  other.resolveForJob(unknown(1), ImageName.parse("deb:12"), user, group -> false));
      assertTrue(e.getMessage().contains(first.toString()), e.getMessage());
      assertTrue(e.getMessage().contains("job 1"), e.getMessage());
    }
  }

  @Test
  void collectionOfAllDomainsKeepsWhatJobsRunAndRemovesRecordsNobodyNeeds() throws Exception {
    Digest first = push("deb:12", 1);
    run(job(1), "deb:12");
    Digest second = push("deb:12", 2);
    run(job(2), "deb:12");
    assertNotEquals(first, second);
    node.remove(ImageName.parse("deb:12"), user);
    for (int i = 0; i < 6; i++) {
      pass(Duration.ofDays(10));
      collectAll();
      assertEquals(first, run(unknown(1), "deb:12"), "after " + 10 * i + " days");
    }
    assertKind(StoreException.Kind.NOT_FOUND, () -> run(unknown(2), "deb:12"));
    pass(Duration.ofDays(31));
    collectAll();
    try (ImageStore other = new ImageStore(connect(clock), clock, Chunker::cut)) {
      assertKind(
          StoreException.Kind.NOT_FOUND,
          () -> other.resolve(ImageName.parse("deb@" + first), user));
    }
    assertEquals(
        Optional.empty(),
        objects.read(
            ObjectNames.LAUNCHERS, ObjectNames.record(job(1), ImageName.parse("deb:12")), 1000));
  }

  /** As an administrator does: {@code layercake gc --all}. */
  abstract void collectAll(ImageStore store) throws Exception;

  private void collectAll() throws Exception {
    collectAll(node);
  }

  @Test
  void manifestThatIsInMemoryOfAnothersDomainIsNotInThis() throws Exception {
    Digest digest = push("deb:12", 1);
    run(job(1), "deb:12");
    Tag tag = new Tag(digest, 1 << 20);
    objects.swapTag("u.eve-" + user, "copy/latest", Optional.empty(), Optional.of(tag.bytes()));
    assertKind(
        StoreException.Kind.CORRUPT, () -> node.resolve(ImageName.parse("copy"), "eve-" + user));
  }

  private JobRef job(long id) {
    return new JobRef("c", id, uid(), NOT_ASKED);
  }

  private JobRef unknown(long id) {
    return new JobRef("c", id, uid(), Optional::empty);
  }

  private long uid() {
    return 10_000L + 2L * Integer.parseInt(user.substring(user.indexOf("-") + 1));
  }

  private void pass(Duration time) {
    now.updateAndGet(instant -> instant.plus(time));
  }

  private Digest run(JobRef job, String name) throws StoreException {
    return node.resolveForJob(job, ImageName.parse(name), user, group -> false).digest();
  }

  private Digest push(String name, int seed) throws Exception {
    byte[] content = new byte[1000];
    new java.util.Random(seed).nextBytes(content);
    Path file = Files.write(Files.createTempFile(directory, "image", ""), content);
    return StoreContract.push(node, file, name, user).digest();
  }

  private static <T> List<T> together(List<Callable<T>> acts) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(acts.size());
    try {
      List<T> results = new ArrayList<>();
      for (Future<T> act : threads.invokeAll(acts)) {
        results.add(act.get());
      }
      return results;
    } finally {
      threads.shutdown();
    }
  }

  private static ByteBuffer direct(String content) {
    byte[] bytes = content.getBytes(US_ASCII);
    return ByteBuffer.allocateDirect(bytes.length).put(0, bytes);
  }
}
