package org.layercake.store;

import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.util.Optional;

/** What a collection has done in a domain so far. */
final class Tally {
  private final String domain;
  private long images;
  private long objects;
  private long bytes;
  private long waitingBytes;
  private Optional<StoreException> problem = Optional.empty();

  Tally(String domain) {
    this.domain = domain;
  }

  void add(Swept swept) {
    objects += swept.gone() ? 1 : 0;
    bytes += swept.bytes();
    waitingBytes += swept.waitingBytes();
  }

  void addImage(Swept swept) {
    images += swept.gone() ? 1 : 0;
    add(swept);
  }

  void addWaiting(long waiting) {
    waitingBytes += waiting;
  }

  /** Keeps a failure with the domain, unless the next domain would meet the same. */
  void note(StoreException failure) throws StoreException {
    boolean isEverybodys = failure.kind() == UNAVAILABLE || failure.kind() == DENIED;
    if (isEverybodys || Thread.currentThread().isInterrupted()) {
      throw failure;
    }
    if (problem.isEmpty()) {
      problem = Optional.of(failure);
    }
  }

  Garbage garbage() {
    return new Garbage(domain, images, objects, bytes, waitingBytes, problem);
  }
}
