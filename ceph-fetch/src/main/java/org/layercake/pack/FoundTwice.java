package org.layercake.pack;

import java.io.IOException;

/** A name has come for the second time, and what it meant before has been packed. */
final class FoundTwice extends IOException {
  private static final long serialVersionUID = 1;

  FoundTwice(String path) {
    super("it has \"" + path + "\" twice, not both a directory");
  }
}
