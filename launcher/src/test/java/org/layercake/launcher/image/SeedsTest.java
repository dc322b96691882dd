package org.layercake.launcher.image;

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
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.layercake.launcher.node.Abort;
import org.layercake.store.Digest;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.Manifest;

class SeedsTest extends CacheTestCase {
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
    assertFalse(layout.image(ImageKey.of(copy)).equals(layout.image(bobs.key())));
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

  /** An image of this user's domain that has no more than its manifest. */
  private Image own(Manifest manifest) throws Exception {
    push("own", content(9)); // there is the domain
    byte[] bytes = manifest.bytes();
    Digest digest = Digest.of(bytes);
    Path domain = images.domain(USER);
    Files.write(domain.resolve("m").resolve(digest.hex()), bytes);
    return store.resolve(ImageName.parse("own@" + digest), USER);
  }

  /** The first image, rebuilt with one change. */
  private static byte[] changed() {
    byte[] bytes = content(1);
    bytes[BYTES / 2]++;
    return bytes;
  }
}
