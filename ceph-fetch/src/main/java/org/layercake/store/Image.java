package org.layercake.store;

import java.util.Optional;

/**
 * A resolved image: found in an access domain, its manifest read and verified.
 *
 * @param domain {@code site} or {@code u.USER}: whose image it is
 * @param name as asked for, with the owner it was found under
 * @param digest of the manifest
 */
public record Image(String domain, ImageName name, Digest digest, Manifest manifest) {
  /** The name that means this image whatever becomes of its tag. */
  public ImageName pinned() {
    return new ImageName(name.owner(), name.name(), name.tag(), Optional.of(digest));
  }
}
