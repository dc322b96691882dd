package org.layercake.store;

import static org.layercake.store.ObjectNames.LAUNCHERS;

import java.util.Optional;

/** Start profiles as they are stored. Written by launchers alone. */
final class StartProfiles {
  private final ObjectStore store;

  StartProfiles(ObjectStore store) {
    this.store = store;
  }

  /** What is known of an image; nothing when there is no profile. */
  StartProfile of(Image image) throws StoreException {
    Optional<byte[]> bytes =
        store.read(LAUNCHERS, ObjectNames.profile(image.digest()), StartProfile.MAX_BYTES);
    return bytes.isEmpty()
        ? StartProfile.NONE
        : StartProfile.parse(bytes.get(), image.manifest().chunks().size());
  }

  void save(Image image, StartProfile profile) throws StoreException {
    store.overwrite(
        LAUNCHERS, ObjectNames.profile(image.digest()), ObjectStore.content(profile.bytes()));
  }
}
