package org.layercake.pack;

import java.util.Optional;

/**
 * What a user says of the image that a source is to give.
 *
 * @param tag the name, or the end of the name, of one of several images
 * @param platform that it must be for; empty for this machine's
 * @param force to store also what does not look like an image that can be run
 * @param data whether it is a data set, in which nothing has to run
 */
public record Wanted(
    Optional<String> tag, Optional<Platform> platform, boolean force, boolean data) {
  /** Nothing in particular. */
  public static final Wanted ANY = new Wanted(Optional.empty(), Optional.empty(), false, false);

  Platform platformOrMachine() {
    return platform.orElseGet(Platform::ofThisMachine);
  }

  /** Whether anything is taken that can be stored. */
  boolean isAnything() {
    return force || data;
  }

  /** The same, whatever the variant of the processor is. */
  Wanted ofAnyVariant() {
    return new Wanted(
        tag, platform.map(p -> new Platform(p.os(), p.architecture(), "")), force, data);
  }
}
