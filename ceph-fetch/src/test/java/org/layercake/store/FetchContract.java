package org.layercake.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.NonWritableChannelException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** How images come out of a store, whatever its back end. */
public abstract class FetchContract extends StoreContract {
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
}
