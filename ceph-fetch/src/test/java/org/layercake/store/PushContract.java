package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

/** How images come into a store, whatever its back end. */
public abstract class PushContract extends StoreContract {
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
    PushListener plug =
        (done, fresh) -> {
          if (done > 10 << 20) {
            throw new IllegalStateException("pulled the plug");
          }
        };
    try (ImagePush push = images.push(ImageName.parse("deb:12"), user, Existing.TRUST)) {
      assertThrows(IllegalStateException.class, () -> push.complete(source, CONFIG, plug));
    }
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
    try (ImagePush push = images.push(ImageName.parse("deb:12"), user, Existing.VERIFY)) {
      push.complete(source, CONFIG, (done, fresh) -> {});
    }
    assertEquals(-1, Files.mismatch(source, fetch(image)));
  }

  @Test
  void malformedTagIsNamedAndReplacedByAPush() throws Exception {
    objects.swapTag(domain, "odd/1", Optional.empty(), Optional.of(bytes("rubbish")));
    StoreException e =
        assertKind(
            StoreException.Kind.CORRUPT, () -> images.resolve(ImageName.parse("odd:1"), user));
    assertTrue(e.getMessage().contains(user + "/odd:1"), e.getMessage());
    Digest digest = push(file("image", random(1 << 20, 26)), "odd:1").digest();
    assertEquals(digest, images.resolve(ImageName.parse("odd:1"), user).digest());
  }

  @Test
  void fileIsStoredWhileItGrowsAndOnlyItsFinalBytesCount() throws Exception {
    byte[] content = random(60 << 20, 30);
    Path source = file("growing", new byte[0]);
    List<Long> before = new ArrayList<>();
    PushResult result;
    try (ImagePush push = images.push(ImageName.parse("deb:12"), user, Existing.TRUST);
        FileChannel out = FileChannel.open(source, StandardOpenOption.WRITE)) {
      push.follow(source);
      out.write(ByteBuffer.wrap(content, 0, 40 << 20));
      await(() -> countObjects() >= 10);
      // The writer goes back and writes another superblock, and another end.
      random(1 << 20, 31, content, 0);
      random(1 << 20, 32, content, 30 << 20);
      out.write(ByteBuffer.wrap(content), 0);
      before.add(countObjects());
      result = push.complete(source, CONFIG, (done, fresh) -> {});
    }
    assertEquals(content.length, result.newBytes(), "what was stored ahead is new, too");
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    assertEquals(-1, Files.mismatch(source, fetch(image)));
    assertTrue(before.get(0) >= 10, "some of it was stored ahead");
  }

  @Test
  void whatWasPackedOfTheSameSourceIsFoundByItsOwnerAlone() throws Exception {
    Origin origin = origin("docker://a.b/x:1", "one", "packer 1");
    assertEquals(
        Optional.empty(),
        images.pushKnown(ImageName.parse("deb:13"), user, origin.source(), "packer 1"));
    Digest digest = push(images, file("image", random(1 << 20, 40)), "deb:12", origin);
    Origin.Source again =
        new Origin.Source("docker://c.d/y:2", digest("list"), origin.source().manifest(), "amd64");
    PushResult known =
        images.pushKnown(ImageName.parse("deb:13"), user, again, "packer 1").orElseThrow();
    assertEquals(digest, known.digest());
    assertEquals(0, known.newBytes());
    Image image = images.resolve(ImageName.parse("deb:13"), user);
    assertEquals(digest, image.digest());
    Origin kept = images.origin(image).orElseThrow();
    assertEquals(again, kept.source(), "the last push counts");
    assertEquals(origin.layers(), kept.layers());
    assertEquals(origin.annotations(), kept.annotations());
    ImageName other = ImageName.parse("deb:14");
    for (Optional<PushResult> result :
        List.of(
            images.pushKnown(other, user, again, "packer 2"),
            images.pushKnown(other, user, origin("docker://x", "two", "p").source(), "packer 1"),
            images.pushKnown(
                other,
                user,
                new Origin.Source("x", digest("one"), digest("one"), "arm64"),
                "packer 1"),
            images.pushKnown(other, user + "x", again, "packer 1"))) {
      assertEquals(Optional.empty(), result);
    }
    assertKind(StoreException.Kind.NOT_FOUND, () -> images.resolve(other, user));
    assertKind(
        StoreException.Kind.DENIED,
        () -> images.pushKnown(ImageName.parse("bob/x"), user, again, "packer 1"));
  }

  @Test
  void anOriginThatIsNoneIsAsIfNothingWereKnown() throws Exception {
    Origin origin = origin("docker://a.b/x:1", "one", "packer 1");
    Digest digest = push(images, file("image", random(1 << 20, 41)), "deb:12", origin);
    Image image = images.resolve(ImageName.parse("deb:12"), user);
    String packed = ObjectNames.packed(origin.source(), "packer 1");
    ImageName other = ImageName.parse("deb:13");
    for (String hostile : new String[] {"", "{}", "rubbish", "x".repeat(1 << 20), digest + ""}) {
      objects.overwrite(domain, packed, direct(hostile));
      assertEquals(
          Optional.empty(), images.pushKnown(other, user, origin.source(), "packer 1"), hostile);
    }
    objects.overwrite(domain, packed, direct(digest("none") + "\n"));
    assertEquals(Optional.empty(), images.pushKnown(other, user, origin.source(), "packer 1"));
    objects.overwrite(domain, packed, direct(digest + "\n"));
    for (String hostile : new String[] {"", "{}", "rubbish", "x".repeat(1 << 20)}) {
      objects.overwrite(domain, ObjectNames.origin(digest), direct(hostile));
      assertEquals(Optional.empty(), images.origin(image), hostile);
      assertEquals(
          Optional.empty(), images.pushKnown(other, user, origin.source(), "packer 1"), hostile);
    }
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
}
