package org.layercake.launcher.image;

/**
 * An image as one user has it on this node: a mount of its own, in which all files are the user's.
 */
record MountKey(ImageKey image, long uid) {
  /** {@code DOMAIN/sha256:HEX for uid UID}. */
  @Override
  public String toString() {
    return image + " for uid " + uid;
  }
}
