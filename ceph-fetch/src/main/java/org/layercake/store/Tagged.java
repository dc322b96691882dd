package org.layercake.store;

import java.util.Optional;

/**
 * A tag as listed.
 *
 * @param name with its owner
 * @param size of the image file in bytes, as the tag says
 * @param audience who beside its owner may run it
 * @param machine the processor that it is for, if it is beside an image for another
 */
public record Tagged(
    ImageName name, Digest digest, long size, Audience audience, Optional<String> machine) {
  /** The name that means this image whatever becomes of its tag, with its tag. */
  public String pinned() {
    return name + "@" + digest;
  }

  /** The same for who looks it up. */
  ImageName exactly() {
    return new ImageName(name.owner(), name.name(), name.tag(), Optional.of(digest));
  }

  /** The access domain that it is in. */
  public String domain() {
    return ObjectNames.domain(name.owner().orElseThrow());
  }
}
