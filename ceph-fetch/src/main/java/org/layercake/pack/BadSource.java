package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.BAD_SOURCE;

import org.layercake.store.StoreException;

/** The failure of a push whose source is at fault. */
final class BadSource {
  private BadSource() {}

  static StoreException of(String source, String cause) {
    return new StoreException(BAD_SOURCE, "cannot push " + source + ": " + cause);
  }
}
