package org.layercake.store;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.layercake.store.StoreException.Kind.CORRUPT;

import java.util.Optional;

/**
 * Where images of a store have come from, and which image a source was packed into. It is advice:
 * what is malformed, or gone, is as if nothing were known.
 */
final class Origins {
  private static final int MAX_DIGEST_BYTES = 100;

  private final ObjectStore store;

  Origins(ObjectStore store) {
    this.store = store;
  }

  /** From where an image was last pushed, as far as that is known. */
  Optional<Origin> of(String domain, Digest image) throws StoreException {
    return read(domain, ObjectNames.origin(image), Origin.MAX_BYTES).flatMap(Origin::read);
  }

  /** The image that a source was packed into, by that packer; it may be gone. */
  Optional<Digest> packed(String domain, Origin.Source source, String packer)
      throws StoreException {
    return packed(domain, ObjectNames.packed(source, packer));
  }

  /** The same by the object's name. */
  Optional<Digest> packed(String domain, String object) throws StoreException {
    Optional<byte[]> bytes = read(domain, object, MAX_DIGEST_BYTES);
    if (bytes.isEmpty()) {
      return Optional.empty();
    }
    try {
      String text = new String(bytes.get(), ISO_8859_1);
      return Optional.of(Digest.parse(text.endsWith("\n") ? text.strip() : ""));
    } catch (StoreException e) {
      return Optional.empty();
    }
  }

  /** Empty also for what is too long to be one of ours. */
  private Optional<byte[]> read(String domain, String object, int maxBytes) throws StoreException {
    try {
      return store.read(domain, object, maxBytes, ObjectStore.Copy.PRIMARY);
    } catch (StoreException e) {
      if (e.kind() == CORRUPT) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /** The last push counts. */
  void save(String domain, Digest image, Origin origin) throws StoreException {
    store.overwrite(domain, ObjectNames.origin(image), ObjectStore.content(origin.bytes()));
    store.overwrite(
        domain,
        ObjectNames.packed(origin.source(), origin.packer()),
        ObjectStore.content((image + "\n").getBytes(US_ASCII)));
  }
}
