package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;

import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;

/** Reads manifests from a store, one piece after the other. */
final class Manifests {
  private Manifests() {}

  /** Empty when there is none of that digest. */
  static Optional<Manifest> read(ObjectStore store, String domain, Digest digest)
      throws StoreException, Manifest.MalformedException {
    String object = ImageStore.manifestObject(digest);
    Optional<InputStream> stream =
        store.open(domain, object, Manifest.MAX_BYTES, ObjectStore.Copy.PREFERRED);
    if (stream.isEmpty()) {
      return Optional.empty();
    }
    try (InputStream in = stream.get()) {
      return Optional.of(Manifest.read(in, digest));
    } catch (StoreStream.Failure e) {
      throw e.getCause();
    } catch (IOException e) {
      throw new StoreException(CORRUPT, "cannot read " + object + " of domain " + domain, e);
    }
  }
}
