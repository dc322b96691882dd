package org.layercake.store;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/**
 * What the contracts of stores share: an image store on a back end. Each test works as a user of
 * its own, so one pool or directory serves all of them; the store's key must be allowed to write
 * anywhere.
 */
public abstract class StoreContract {
  protected static final ImageConfig CONFIG = new ImageConfig(List.of("A=1"), "x86_64");

  private static final AtomicInteger USERS = new AtomicInteger();

  @TempDir Path directory;

  ObjectStore objects;
  ImageStore images;
  String user;
  String domain;

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

  PushResult push(Path source, String name) throws Exception {
    return push(images, source, name);
  }

  PushResult push(ImageStore images, Path source, String name) throws Exception {
    return push(images, source, name, user);
  }

  static PushResult push(ImageStore images, Path source, String name, String user)
      throws Exception {
    try (ImagePush push = images.push(ImageName.parse(name), user, Existing.TRUST)) {
      return push.complete(source, CONFIG, (done, fresh) -> {});
    }
  }

  /** Pushes what has come from a registry; gives its digest. */
  Digest push(ImageStore store, Path source, String name, Origin origin) throws Exception {
    try (ImagePush push = store.push(ImageName.parse(name), user, Existing.TRUST)) {
      return push.complete(source, CONFIG, Optional.of(origin), (done, fresh) -> {}).digest();
    }
  }

  /** Of an image whose manifest has the digest of a text. */
  static Origin origin(String reference, String manifest, String packer) {
    return new Origin(
        new Origin.Source(reference, digest(manifest), digest(manifest), "amd64"),
        packer,
        Instant.parse("2026-01-31T23:59:59Z"),
        List.of(new Origin.Layer(digest("layer"), 7)),
        new TreeMap<>(Map.of("a", "b")));
  }

  static Digest digest(String text) {
    return Digest.of(bytes(text));
  }

  Path fetch(Image image) throws Exception {
    Path target = Files.createTempFile(directory, "fetched", "");
    AtomicInteger calls = new AtomicInteger();
    try (FileChannel channel = FileChannel.open(target, StandardOpenOption.WRITE)) {
      images.fetch(image, channel, done -> calls.incrementAndGet());
    }
    assertEquals(image.manifest().chunks().size(), calls.get());
    return target;
  }

  Path file(String name, byte[] content) throws IOException {
    return Files.write(directory.resolve(name), content);
  }

  interface Numbered<T> {
    T call(int i) throws Exception;
  }

  static <T> List<Future<T>> together(int count, Numbered<T> task) throws Exception {
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

  static ByteBuffer direct(String content) {
    return direct(bytes(content));
  }

  static ByteBuffer direct(byte[] content) {
    return ByteBuffer.allocateDirect(content.length).put(0, content);
  }

  static byte[] bytes(String text) {
    return text.getBytes(US_ASCII);
  }

  static byte[] random(int size, long seed) {
    byte[] content = new byte[size];
    new Random(seed).nextBytes(content);
    return content;
  }
}
