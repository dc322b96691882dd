package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;

import java.util.List;
import java.util.stream.Stream;

/**
 * Images by name.
 *
 * @param isComplete whether there are no more than these
 */
public record Listing(List<Tagged> images, boolean isComplete) {
  /** How many entries of an owner are read. */
  static final int MAX_ENTRIES = 10_000;

  /** These, then the other's. */
  Listing and(Listing other) {
    return new Listing(
        Stream.concat(images.stream(), other.images.stream()).toList(),
        isComplete && other.isComplete);
  }

  /** To be called when what there is has been shown. */
  public void requireComplete() throws StoreException {
    if (!isComplete) {
      throw new StoreException(
          CORRUPT,
          "cannot list all images: more than "
              + MAX_ENTRIES
              + " entries, or "
              + (ObjectStore.MAX_LISTED_BYTES >> 20)
              + " MiB of them, are stored as tags of yours or of the site's (remove some)");
    }
  }
}
