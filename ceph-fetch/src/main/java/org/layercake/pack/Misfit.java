package org.layercake.pack;

import java.io.IOException;
import java.util.Optional;
import org.layercake.store.Machines;

/** Images for another processor than the one that is wanted. */
final class Misfit {
  private Misfit() {}

  /** Why an image is refused, and what to say when it is wanted. */
  static String message(String its, Platform wanted) {
    return "it is for " + its + ", not " + wanted + " (if so wanted: --arch=" + its + ")";
  }

  /**
   * The processor that an image is for, as {@code uname -m} says it.
   *
   * @param programs what its programs are for, which counts most, as they are what will be run
   * @param said what it says itself
   * @throws IOException when that is another than the wanted one
   */
  static String machine(Optional<String> programs, Platform said, Wanted wanted)
      throws IOException {
    if (wanted.data()) {
      return Machines.ANY;
    }
    Platform asked = wanted.platformOrMachine();
    boolean says = !said.architecture().isEmpty();
    String its = programs.orElse(says ? said.machine() : asked.machine());
    boolean isSaid = says && said.machine().equals(asked.machine());
    boolean isWanted = its.equals(asked.machine()) || (isSaid && wanted.platform().isPresent());
    if (isWanted || wanted.force()) {
      return its;
    }
    Platform found = Platform.ofMachine(its);
    throw new IOException(
        isSaid
            ? "its programs are for " + found + ", though it says " + said + " (--force stores it)"
            : message(found.toString(), asked));
  }
}
