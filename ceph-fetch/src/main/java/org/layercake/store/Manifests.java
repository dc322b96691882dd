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
  /** Not reached: a manifest that is too long is malformed, and its parser says so. */
  private static final int READABLE_BYTES = 2 * Manifest.MAX_BYTES;

  private Manifests() {}

  /**
   * Empty when no copy is there. Of copies that differ, cannot be read or are missing, the right
   * one is found.
   */
  static Optional<Manifest> read(ObjectStore store, String domain, Digest digest)
      throws StoreException, Manifest.MalformedException {
    if (store.readsReplicas()) {
      try {
        Optional<Manifest> found = read(store, domain, digest, ObjectStore.Copy.PREFERRED);
        if (found.isPresent()) {
          return found;
        }
      } catch (Manifest.MalformedException | StoreException e) {
        if (!isOneCopys(e)) {
          throw e;
        }
      }
    }
    return readFromPrimary(store, domain, digest);
  }

  /** The same, for who decides by it what goes: a copy that is behind is not asked first. */
  static Optional<Manifest> readFromPrimary(ObjectStore store, String domain, Digest digest)
      throws StoreException, Manifest.MalformedException {
    try {
      Optional<Manifest> found = read(store, domain, digest, ObjectStore.Copy.PRIMARY);
      return found.isPresent() ? found : readReplicas(store, domain, digest);
    } catch (Manifest.MalformedException | StoreException e) {
      Optional<Manifest> replica =
          isOneCopys(e) ? readReplicas(store, domain, digest) : Optional.empty();
      if (replica.isEmpty()) {
        throw e;
      }
      return replica;
    }
  }

  /** Whether another copy may be better; of what was stored malformed, none is. */
  private static boolean isOneCopys(Exception fault) {
    return fault instanceof Manifest.MalformedException malformed
        ? malformed.isDamaged()
        : fault instanceof StoreException failure && failure.kind() == CORRUPT;
  }

  private static Optional<Manifest> read(
      ObjectStore store, String domain, Digest digest, ObjectStore.Copy copy)
      throws StoreException, Manifest.MalformedException {
    String object = ObjectNames.manifest(digest);
    Optional<InputStream> stream = store.open(domain, object, READABLE_BYTES, copy);
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
  private static Optional<Manifest> readReplicas(ObjectStore store, String domain, Digest digest)
      throws StoreException, Manifest.MalformedException {
    if (!store.readsReplicas()) {
      return Optional.empty();
    }
    ByteBuffer content = ByteBuffer.allocateDirect(Manifest.MAX_CHUNK_BYTES);
    AtomicReference<byte[]> right = new AtomicReference<>();
    store.readReplicas(
        domain,
        ObjectNames.manifest(digest),
        content,
        count -> {
          byte[] bytes = new byte[count];
          content.get(0, bytes);
          right.set(Digest.of(bytes).equals(digest) ? bytes : null);
          return right.get() != null;
        });
    return right.get() == null
        ? Optional.empty()
        : Optional.of(parse(new ByteArrayInputStream(right.get()), digest));
  }
}
