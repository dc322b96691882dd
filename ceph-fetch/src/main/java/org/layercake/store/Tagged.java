package org.layercake.store;

/**
 * A tag as listed.
 *
 * @param name with its owner
 * @param size of the image file in bytes, as the tag says
 * @param audience who beside its owner may run it
 */
public record Tagged(ImageName name, Digest digest, long size, Audience audience) {
  /** The name that means this image whatever becomes of its tag, with its tag. */
  public String pinned() {
    return name + "@" + digest;
  }

  /** The access domain that it is in. */
  public String domain() {
    return ObjectNames.domain(name.owner().orElseThrow());
  }
}
