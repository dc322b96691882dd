package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;

/** Reads manifests from a store, one piece after the other. */
final class Manifests {
  private Manifests() {}

  /** Empty when there is none of that digest. Of copies that differ, the right one is found. */
  static Optional<Manifest> read(ObjectStore store, String domain, Digest digest)
      throws StoreException, Manifest.MalformedException {
    try {
      return read(store, domain, digest, ObjectStore.Copy.PREFERRED);
    } catch (Manifest.MalformedException e) {
      if (!e.isDamaged() || !store.readsReplicas()) {
        throw e;
      }
    }
    try {
      return read(store, domain, digest, ObjectStore.Copy.PRIMARY);
    } catch (Manifest.MalformedException e) {
      Optional<byte[]> replica =
          e.isDamaged() ? readReplicas(store, domain, digest) : Optional.empty();
      if (replica.isEmpty()) {
        throw e;
      }
      return Optional.of(parse(new ByteArrayInputStream(replica.get()), digest));
    }
  }

  private static Optional<Manifest> read(
      ObjectStore store, String domain, Digest digest, ObjectStore.Copy copy)
      throws StoreException, Manifest.MalformedException {
    String object = ImageStore.manifestObject(digest);
    Optional<InputStream> stream = store.open(domain, object, Manifest.MAX_BYTES, copy);
    if (stream.isEmpty()) {
      return Optional.empty();
    }
    try (InputStream in = stream.get()) {
      return Optional.of(parse(in, digest));
    } catch (StoreStream.Failure e) {
      throw e.getCause();
    } catch (IOException e) {
      throw new StoreException(CORRUPT, "cannot read " + object + " of domain " + domain, e);
    }
  }

  private static Manifest parse(InputStream in, Digest digest)
      throws StoreException, Manifest.MalformedException {
    try {
      return Manifest.read(in, digest);
    } catch (StoreStream.Failure e) {
      throw e.getCause();
    } catch (IOException e) {
      throw new StoreException(CORRUPT, "cannot read manifest " + digest, e);
    }
  }

  /** Of one that has some 50,000 chunks at most: it is read in one go. */
  private static Optional<byte[]> readReplicas(ObjectStore store, String domain, Digest digest)
      throws StoreException {
    ByteBuffer content = ByteBuffer.allocateDirect(Manifest.MAX_CHUNK_BYTES);
    AtomicReference<byte[]> right = new AtomicReference<>();
    store.readReplicas(
        domain,
        ImageStore.manifestObject(digest),
        content,
        count -> {
          byte[] bytes = new byte[count];
          content.get(0, bytes);
          right.set(Digest.of(bytes).equals(digest) ? bytes : null);
          return right.get() != null;
        });
    return Optional.ofNullable(right.get());
  }
}
