package org.layercake.pack;

import static org.layercake.store.StoreException.Kind.BAD_SOURCE;

import java.nio.file.Path;
import org.layercake.store.StoreException;

/** The failure of a push whose source is at fault. */
final class BadSource {
  private BadSource() {}

  static StoreException of(Path source, String cause) {
    return new StoreException(BAD_SOURCE, "cannot push " + source + ": " + cause);
  }
}
