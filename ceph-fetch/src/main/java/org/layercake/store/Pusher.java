package org.layercake.store;

import static org.layercake.store.StoreException.Kind.BAD_SOURCE;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;

/**
 * Stores image files and points names at them: chunks first, then the manifest, the tag last. Names
 * have their owner here.
 */
final class Pusher {
  /** Half the grace: the other half is for clocks that disagree. */
  private static final Duration MAX_UNPUBLISHED = GarbageCollector.MIN_GRACE.dividedBy(2);

  private final ObjectStore store;
  private final Tags tags;
  private final BufferPool buffers;
  private final ChunkWriter.Cutter cutter;
  private final InstantSource clock;

  Pusher(
      ObjectStore store,
      Tags tags,
      BufferPool buffers,
      ChunkWriter.Cutter cutter,
      InstantSource clock) {
    this.store = store;
    this.tags = tags;
    this.buffers = buffers;
    this.cutter = cutter;
    this.clock = clock;
  }

  /**
   * Prepares to store a file that is still being written.
   *
   * @param repairs whether chunks that are there already are read, and replaced when damaged
   */
  PushAhead ahead(ImageName name, boolean repairs) {
    return new PushAhead(writer(name, repairs, (done, fresh) -> {}), clock.instant());
  }

  private ChunkWriter writer(ImageName name, boolean repairs, PushListener listener) {
    return new ChunkWriter(store, buffers, cutter, domain(name), repairs, listener);
  }

  /**
   * Stores a file.
   *
   * @param ahead what began to store it before it was finished; it ends here
   */
  PushResult push(
      Path squashfs,
      ImageName name,
      ImageConfig config,
      boolean repairs,
      PushAhead ahead,
      PushListener listener)
      throws StoreException, IOException {
    Optional<byte[]> before = tags.seen(name);
    ChunkWriter writer = writer(name, repairs, listener);
    List<ChunkWriter.Stored> guesses = ahead.finish();
    List<Manifest.Chunk> chunks;
    try (FileChannel source = FileChannel.open(squashfs, StandardOpenOption.READ)) {
      chunks = writer.run(source::read, guesses);
    }
    listener.beforeVisible();
    Manifest manifest = manifest(squashfs, chunks, config);
    Digest digest = store(name, manifest, repairs);
    if (Duration.between(ahead.begun(), clock.instant()).compareTo(MAX_UNPUBLISHED) > 0) {
      requireKept(name, chunks);
    }
    tags.move(name, before, new Tag(digest, manifest.size()));
    return new PushResult(domain(name), name, digest, manifest.size(), writer.bytesNew());
  }

  private static String domain(ImageName name) {
    return ObjectNames.domain(name.owner().orElseThrow());
  }

  private static Manifest manifest(Path file, List<Manifest.Chunk> chunks, ImageConfig config)
      throws StoreException {
    long size = chunks.stream().mapToLong(Manifest.Chunk::length).sum();
    try {
      return new Manifest(Chunker.ID, size, config, chunks);
    } catch (IllegalArgumentException e) {
      throw new StoreException(
          BAD_SOURCE, "cannot push " + file + ": it would make " + e.getMessage(), e);
    }
  }

  private Digest store(ImageName name, Manifest manifest, boolean repairs) throws StoreException {
    byte[] bytes = manifest.bytes();
    if (bytes.length > Manifest.MAX_BYTES) {
      throw new StoreException(
          BAD_SOURCE, "cannot push image: too large (its manifest has " + bytes.length + " bytes)");
    }
    Digest digest = Digest.of(bytes);
    String object = ObjectNames.manifest(digest);
    if (repairs) {
      store.overwrite(domain(name), object, ObjectStore.content(bytes));
    } else if (!store.touch(domain(name), object)) {
      store.create(domain(name), object, ObjectStore.content(bytes));
    }
    return digest;
  }

  /**
   * A push so slow that a collection may have taken its first chunks for garbage. Now that there is
   * a manifest no other will; what was taken before is found out here.
   */
  private void requireKept(ImageName name, List<Manifest.Chunk> chunks) throws StoreException {
    for (Manifest.Chunk chunk : chunks) {
      if (!store.touch(domain(name), ObjectNames.chunk(chunk.digest()))) {
        throw new StoreException(
            UNAVAILABLE,
            "cannot push "
                + name
                + ": it took more than "
                + MAX_UNPUBLISHED.toHours()
                + " h, and parts of it were collected as garbage meanwhile (push it again, the rest"
                + " is there)");
      }
    }
  }
}
