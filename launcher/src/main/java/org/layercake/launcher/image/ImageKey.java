package org.layercake.launcher.image;

import org.layercake.launcher.node.Event;
import org.layercake.store.Digest;
import org.layercake.store.Image;
import org.layercake.store.ImageName;
import org.layercake.store.ImageStore;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.spi.LoggingEventBuilder;

/**
 * An image on this node: its content, and the access domain from which it was read. The same
 * content of two domains is two images, because a digest is not a permission: anybody can write one
 * down.
 */
public record ImageKey(String domain, Digest digest) {
  static ImageKey of(Image image) {
    return new ImageKey(image.domain(), image.digest());
  }

  /** The opposite of {@link #toString}. */
  public static ImageKey parse(String text) throws StoreException {
    int slash = text.indexOf('/');
    String domain = text.substring(0, Math.max(0, slash));
    String owner = ImageStore.owner(domain);
    if (!ImageStore.domain(owner).equals(domain)
        || !(owner.equals(ImageName.SITE) || ImageName.isUser(owner))) {
      throw new StoreException(
          StoreException.Kind.INVALID, "\"" + text + "\" does not begin with an access domain");
    }
    return new ImageKey(domain, Digest.parse(text.substring(slash + 1)));
  }

  /** Whether all who may read the other image may read this one's content, too. */
  boolean maySeed(ImageKey other) {
    return domain.equals(other.domain) || domain.equals(ImageStore.domain(ImageName.SITE));
  }

  /** A line of the log that is about the image. */
  LoggingEventBuilder on(Event event, Logger log) {
    return event.on(log).addKeyValue("domain", domain).addKeyValue("digest", digest);
  }

  /** {@code DOMAIN/sha256:HEX}. */
  @Override
  public String toString() {
    return domain + "/" + digest;
  }
}
