package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.layercake.store.StoreContract.assertKind;
import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.IntPredicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Collections in a store that does not show what it has, or has what it should not. */
class CollectionFaultsTest {
  private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");

  @TempDir Path root;
  @TempDir Path directory;

  private Instant now = NOW;
  private Faulty objects;
  private ImageStore images;

  @BeforeEach
  void open() throws Exception {
    objects = new Faulty(DirectoryStore.open(root, () -> now), root);
    images = new ImageStore(objects, () -> now, Chunker::cut);
  }

  @AfterEach
  void close() {
    images.close();
  }

  @Test
  void imageWhoseManifestTheStoreDoesNotShowKeepsItsChunks() throws Exception {
    Digest digest = push("alice", 1);
    long files = files("u.alice/c");
    objects.hidden = EnumSet.allOf(ObjectStore.Copy.class);
    requireUnknown(digest, "u.alice");
    objects.isListed = false;
    requireUnknown(digest, "u.alice");
    assertEquals(files, files("u.alice/c"));
    objects.hidden.clear();
    images.verify(images.resolve(ImageName.parse("deb:12"), "alice"), done -> {});
  }

  @Test
  void imageWhoseManifestIsLostKeepsItsChunksUntilItsTagGoes() throws Exception {
    Digest digest = push("alice", 1);
    Files.delete(manifest("alice", digest));
    requireUnknown(digest, "u.alice");
    images.remove(ImageName.parse("deb:12"), "alice");
    Garbage garbage = collect("alice");
    assertEquals(Optional.empty(), garbage.problem());
    assertEquals(0, files("u.alice/c"));
  }

  @Test
  void manifestThatIsThereButNotShownKeepsChunksWithoutATagToo() throws Exception {
    Digest digest = push("alice", 1);
    long files = files("u.alice/c");
    images.remove(ImageName.parse("deb:12"), "alice");
    objects.hidden = EnumSet.allOf(ObjectStore.Copy.class);
    Garbage garbage = images.collect(Optional.of("alice"), Duration.ofDays(7), false).get(0);
    String message = garbage.problem().orElseThrow().getMessage();
    assertTrue(message.contains(digest + " needs, which no tag points to"), message);
    assertEquals(files, files("u.alice/c"));
  }

  @Test
  void manifestThatOnlyAReplicaHasIsFoundThere() throws Exception {
    push("alice", 1);
    objects.hidden = EnumSet.allOf(ObjectStore.Copy.class);
    objects.hasReplicas = true;
    Garbage garbage = collect("alice");
    assertEquals(new Garbage("u.alice", 0, 0, 0, 0), garbage);
  }

  @Test
  void collectionOfOneDomainsFaultsLeavesTheOthersAlone() throws Exception {
    for (String user : List.of("alice", "bob", "carol", "dave", "eve")) {
      push(user, user.hashCode());
      images.remove(ImageName.parse("deb:12"), user);
    }
    Digest large = Digest.of(new byte[1]);
    try (RandomAccessFile file = new RandomAccessFile(manifest("alice", large).toFile(), "rw")) {
      file.setLength(Manifest.MAX_BYTES + 1);
    }
    objects.swapTag("u.alice", "large/1", Optional.empty(), Optional.of(new Tag(large, 5).bytes()));
    objects.failures.put("u.bob/t", failure(CORRUPT, "an entry has a name that is not a tag's"));
    Digest unreadable = push("dave", 7);
    objects.failures.put(
        "u.dave/" + ObjectNames.manifest(unreadable), failure(CORRUPT, "I/O error"));
    later();
    Map<String, Garbage> result =
        images.collect(Optional.empty(), Duration.ofDays(7), false).stream()
            .collect(Collectors.toMap(Garbage::domain, Function.identity()));
    assertEquals(Set.of("u.alice", "u.bob", "u.carol", "u.dave", "u.eve"), result.keySet());
    requireProblem(result.get("u.alice"), 1, "is damaged: ");
    requireProblem(result.get("u.bob"), 0, "not a tag's");
    requireProblem(result.get("u.dave"), 1, "unreadable: I/O error");
    for (String user : List.of("carol", "eve")) {
      assertEquals(Optional.empty(), result.get("u." + user).problem());
      assertEquals(0, files("u." + user + "/c"));
    }
  }

  @Test
  void storeThatDoesNotAnswerEndsACollection() throws Exception {
    push("alice", 1);
    objects.failures.put("u.alice/t", failure(UNAVAILABLE, "no answer"));
    assertKind(UNAVAILABLE, () -> images.collect(Optional.empty(), Duration.ofDays(7), false));
  }

  @Test
  void manifestIsReadFromEachCopyInTurnUntilOneHasIt() throws Exception {
    Digest digest = push("alice", 1);
    for (StoreException fault :
        new StoreException[] {null, new StoreException(CORRUPT, "I/O error")}) {
      objects.hiddenAs = fault;
      objects.hasReplicas = true;
      objects.hidden = EnumSet.of(ObjectStore.Copy.PREFERRED);
      assertTrue(Manifests.read(objects, "u.alice", digest).isPresent());
      assertEquals(0, objects.replicasRead.get());
      objects.hidden = EnumSet.allOf(ObjectStore.Copy.class);
      assertTrue(Manifests.read(objects, "u.alice", digest).isPresent());
      assertEquals(1, objects.replicasRead.getAndSet(0));
    }
  }

  @Test
  void absentManifestCostsOneReadWhereThereAreNoReplicas() throws Exception {
    Digest none = Digest.of(new byte[3]);
    objects.opened.set(0);
    assertEquals(Optional.empty(), Manifests.read(objects, "u.alice", none));
    assertEquals(1, objects.opened.get());
    assertEquals(0, objects.replicasRead.get());
  }

  private void requireUnknown(Digest digest, String domain) throws Exception {
    Garbage garbage = collect("alice");
    assertEquals(0, garbage.objects());
    String message = garbage.problem().orElseThrow().getMessage();
    for (String part :
        new String[] {domain, digest.toString(), "alice/deb:12", "missing", "rm deb:12"}) {
      assertTrue(message.contains(part), message);
    }
  }

  private static void requireProblem(Garbage garbage, long images, String cause) {
    assertEquals(images, garbage.images(), garbage.toString());
    assertEquals(images, garbage.objects(), "no chunk");
    String message = garbage.problem().orElseThrow().getMessage();
    assertTrue(message.contains(cause), message);
  }

  private Garbage collect(String user) throws Exception {
    later();
    return images.collect(Optional.of(user), Duration.ofDays(7), false).get(0);
  }

  private void later() {
    now = now.plus(Duration.ofDays(8));
  }

  private Digest push(String user, long seed) throws Exception {
    byte[] content = new byte[1 << 20];
    new Random(seed).nextBytes(content);
    Path file = Files.write(directory.resolve("image"), content);
    return StoreContract.push(images, file, "deb:12", user).digest();
  }

  private Path manifest(String user, Digest digest) {
    return root.resolve("u." + user).resolve(ObjectNames.manifest(digest));
  }

  private long files(String of) throws IOException {
    try (Stream<Path> files = Files.list(root.resolve(of))) {
      return files.count();
    }
  }

  private static StoreException failure(StoreException.Kind kind, String message) {
    return new StoreException(kind, message);
  }

  /** Shows not all of its manifests, and all of its domains at once. */
  private static final class Faulty extends Jostled {
    private final Path root;
    private final ObjectStore whole;
    final AtomicInteger opened = new AtomicInteger();
    final AtomicInteger replicasRead = new AtomicInteger();
    final Map<String, StoreException> failures = new HashMap<>();
    Set<Copy> hidden = EnumSet.noneOf(Copy.class);
    StoreException hiddenAs;
    boolean isListed = true;
    boolean hasReplicas;

    Faulty(ObjectStore whole, Path root) {
      super(whole, () -> {});
      this.whole = whole;
      this.root = root;
    }

    @Override
    public Optional<InputStream> open(String domain, String object, int maxBytes, Copy copy)
        throws StoreException {
      opened.incrementAndGet();
      fail(domain, object);
      if (object.startsWith("m/") && hidden.contains(copy)) {
        if (hiddenAs != null) {
          throw hiddenAs;
        }
        return Optional.empty();
      }
      return super.open(domain, object, maxBytes, copy);
    }

    private void fail(String domain, String object) throws StoreException {
      StoreException failure = failures.get(domain + "/" + object);
      if (failure != null) {
        throw failure;
      }
    }

    @Override
    public boolean readsReplicas() {
      return hasReplicas;
    }

    @Override
    public boolean readReplicas(
        String domain, String object, ByteBuffer target, IntPredicate isRight)
        throws StoreException {
      replicasRead.incrementAndGet();
      return isRight.test(whole.startRead(domain, object, target, Copy.PRIMARY).await());
    }

    @Override
    public void visitTags(String domain, TagPart part, TagVisitor visitor) throws StoreException {
      fail(domain, "t");
      super.visitTags(domain, part, visitor);
    }

    @Override
    public void list(Optional<String> domain, BiConsumer<String, String> each)
        throws StoreException {
      try (Stream<Path> files = Files.walk(root, 3)) {
        for (Path file : files.filter(Files::isRegularFile).toList()) {
          Path name = root.relativize(file);
          String where = name.getName(0).toString();
          String object = name.subpath(1, name.getNameCount()).toString();
          if (domain.orElse(where).equals(where) && (isListed || !object.startsWith("m/"))) {
            each.accept(where, object);
          }
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
