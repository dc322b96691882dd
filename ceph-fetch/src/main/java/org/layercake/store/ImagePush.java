package org.layercake.store;

import static org.layercake.store.StoreException.Kind.BAD_SOURCE;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;

/**
 * Stores one image file, which may still be being written, and points a name at it: chunks first,
 * then the manifest, the tag last. Run again after an interruption it sends only what is missing.
 */
public final class ImagePush implements AutoCloseable {
  /** Half the grace: the other half is for clocks that disagree. */
  private static final Duration MAX_UNPUBLISHED = GarbageCollector.MIN_GRACE.dividedBy(2);

  /** Where a push stores, and with what. */
  record Means(
      ObjectStore store,
      Tags tags,
      Origins origins,
      BufferPool buffers,
      ChunkWriter.Cutter cutter,
      InstantSource clock) {}

  private final Means means;
  private final ImageName name;
  private final String domain;
  private final Existing existing;
  private final Instant begun;
  private final PushAhead ahead;
  private volatile long sentAhead;

  /**
   * @param name with its owner
   */
  ImagePush(Means means, ImageName name, Existing existing) throws StoreException {
    this.means = means;
    this.name = name;
    this.domain = ObjectNames.domain(name.owner().orElseThrow());
    this.existing = existing;
    this.begun = means.clock().instant();
    this.ahead = new PushAhead(writer((done, fresh) -> sentAhead = done));
    means.tags().seen(name); // so that a key that may not is refused now
    means.store().requireWritable(domain);
  }

  private ChunkWriter writer(PushListener listener) {
    return new ChunkWriter(
        means.store(), means.buffers(), means.cutter(), domain, existing, listener);
  }

  /**
   * Begins to store a file that exists or will, and goes on while it is written; to be called at
   * most once.
   *
   * @param growing written from its beginning to its end, more or less
   */
  public void follow(Path growing) {
    ahead.follow(growing);
  }

  /** So many bytes of a file that is followed are in the store. */
  public long sentAhead() {
    return sentAhead;
  }

  /** Fails when following has failed: then nothing else of this push will go well. */
  public void requireGoing() throws StoreException, IOException {
    ahead.requireGoing();
  }

  /** As below, of an image that comes from no registry. */
  public PushResult complete(Path squashfs, ImageConfig config, PushListener listener)
      throws StoreException, IOException {
    return complete(squashfs, config, Optional.empty(), listener);
  }

  /**
   * Stores the finished file, and points the name at it.
   *
   * @param origin where the image came from
   * @throws IOException if the file can not be read
   */
  public PushResult complete(
      Path squashfs, ImageConfig config, Optional<Origin> origin, PushListener listener)
      throws StoreException, IOException {
    Entries before = means.tags().seen(name);
    ChunkWriter writer = writer(listener);
    List<ChunkWriter.Stored> guesses = ahead.finish();
    List<Manifest.Chunk> chunks;
    try (FileChannel source = FileChannel.open(squashfs, StandardOpenOption.READ)) {
      chunks = writer.run(source::read, guesses);
    }
    listener.beforeVisible();
    Manifest manifest = manifest(squashfs, chunks, config);
    Digest digest = store(manifest);
    if (Duration.between(begun, means.clock().instant()).compareTo(MAX_UNPUBLISHED) > 0) {
      requireKept(chunks);
    }
    if (origin.isPresent()) {
      means.origins().save(domain, digest, origin.get());
    }
    means.tags().move(before, config.architecture(), new Tag(digest, manifest.size()));
    return new PushResult(domain, name, digest, manifest.size(), writer.bytesNew());
  }

  /** Ends it, if it is not complete; what is stored stays. */
  @Override
  public void close() {
    ahead.close();
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

  private Digest store(Manifest manifest) throws StoreException {
    byte[] bytes = manifest.bytes();
    if (bytes.length > Manifest.MAX_BYTES) {
      throw new StoreException(
          BAD_SOURCE, "cannot push image: too large (its manifest has " + bytes.length + " bytes)");
    }
    Digest digest = Digest.of(bytes);
    String object = ObjectNames.manifest(digest);
    if (existing == Existing.VERIFY) {
      means.store().overwrite(domain, object, ObjectStore.content(bytes));
    } else if (!means.store().touch(domain, object)) {
      means.store().create(domain, object, ObjectStore.content(bytes));
    }
    return digest;
  }

  /**
   * A push so slow that a collection may have taken its first chunks for garbage. Now that there is
   * a manifest no other will; what was taken before is found out here.
   */
  private void requireKept(List<Manifest.Chunk> chunks) throws StoreException {
    for (Manifest.Chunk chunk : chunks) {
      if (!means.store().touch(domain, ObjectNames.chunk(chunk.digest()))) {
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
