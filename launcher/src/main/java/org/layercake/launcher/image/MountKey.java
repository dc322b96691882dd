package org.layercake.launcher.image;

import org.layercake.launcher.node.Event;
import org.slf4j.Logger;
import org.slf4j.spi.LoggingEventBuilder;

/**
 * An image as one user has it on this node: a mount of its own, in which all files are the user's.
 */
record MountKey(ImageKey image, long uid) {
  /** A line of the log that is about the mount. */
  LoggingEventBuilder on(Event event, Logger log) {
    return image.on(event, log).addKeyValue("uid", uid);
  }

  /** {@code DOMAIN/sha256:HEX for uid UID}. */
  @Override
  public String toString() {
    return image + " for uid " + uid;
  }
}
