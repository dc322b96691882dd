package org.layercake.store;

import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.INVALID;

import java.util.List;
import java.util.Optional;

/** Whose image a name means, and which names a user may write. */
final class Ownership {
  private Ownership() {}

  /** In whose domains a name is looked for, in this order: a bare one in the user's own first. */
  static List<String> owners(ImageName name, String user) throws StoreException {
    requireUser(user);
    return name.owner().map(List::of).orElse(List.of(user, ImageName.SITE));
  }

  /** The owner if that is neither the user nor the site. */
  static Optional<String> foreign(ImageName name, String user) {
    return name.owner().filter(owner -> !owner.equals(user) && !owner.equals(ImageName.SITE));
  }

  /**
   * The name with its owner filled in: what is written goes to the user's own domain unless said.
   *
   * @param act for messages: what the name is written for
   */
  static ImageName writable(ImageName name, String user, String act) throws StoreException {
    if (name.digest().isPresent()) {
      throw new StoreException(
          INVALID,
          "cannot " + act + " \"" + name + "\": a digest cannot be chosen (leave out the @ part)");
    }
    if (foreign(name, user).isPresent()) {
      throw new StoreException(
          DENIED,
          "cannot "
              + act
              + " \""
              + name
              + "\": the images of "
              + name.owner().orElseThrow()
              + " are private (choose a name of your own)");
    }
    return name.withOwner(owners(name, user).get(0));
  }

  /** The same for a name whose audience the user wants to know or change: all of its tags. */
  static ImageName shareable(ImageName name, String user) throws StoreException {
    requireUser(user);
    if (!name.tag().equals(ImageName.DEFAULT_TAG) || name.digest().isPresent()) {
      throw new StoreException(
          INVALID,
          "cannot share \""
              + name
              + "\": a name is shared with all its tags (write "
              + name.name()
              + ")");
    }
    if (name.owner().filter(owner -> !owner.equals(user)).isPresent()) {
      throw new StoreException(
          INVALID,
          "cannot share \""
              + name
              + "\": only your own images are yours to share, and the site's are everybody's");
    }
    return name.withOwner(user);
  }

  static void requireUser(String user) throws StoreException {
    if (!ImageName.isUser(user)) {
      throw new StoreException(
          INVALID, "cannot use the store as \"" + user + "\": this user name cannot own images");
    }
  }
}
