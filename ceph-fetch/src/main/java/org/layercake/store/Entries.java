package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;

import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What a name points to, as it was at one moment: an image, and perhaps others for further
 * processors.
 *
 * @param values what is stored, whatever that is: by processor, the first image's by none
 */
record Entries(ImageName name, SortedMap<String, byte[]> values) {
  /** Of the image that was there first, whatever it is for. */
  static final String FIRST = "";

  /** What the store has said. */
  static Entries of(ImageName name, Map<String, byte[]> stored) {
    SortedMap<String, byte[]> values = new TreeMap<>();
    Optional.ofNullable(stored.get(ObjectNames.tag(name))).ifPresent(v -> values.put(FIRST, v));
    for (String machine : Machines.KNOWN) {
      Optional.ofNullable(stored.get(ObjectNames.tag(name, machine)))
          .ifPresent(value -> values.put(machine, value));
    }
    return new Entries(name, values);
  }

  boolean isEmpty() {
    return values.isEmpty();
  }

  /** Whether there is more than one image. */
  boolean areSeveral() {
    return values.size() > 1;
  }

  Optional<byte[]> value(String key) {
    return Optional.ofNullable(values.get(key));
  }

  /** Empty also for what is no tag. */
  Optional<Tag> tag(String key) throws StoreException {
    byte[] value = values.get(key);
    return value == null ? Optional.empty() : Tag.read(value);
  }

  /**
   * Which of them is for a processor; another one's if none is. Empty when there is none at all.
   */
  Optional<String> keyFor(String machine) {
    if (values.containsKey(machine)) {
      return Optional.of(machine);
    }
    return values.isEmpty() ? Optional.empty() : Optional.of(values.firstKey());
  }

  /**
   * The image for a processor, or another one's if there is none for it.
   *
   * @throws StoreException of kind CORRUPT when its entry is no tag
   */
  Optional<Tag> tagFor(String machine) throws StoreException {
    Optional<String> key = keyFor(machine);
    Optional<Tag> tag = key.isEmpty() ? Optional.empty() : tag(key.get());
    if (key.isPresent() && tag.isEmpty()) {
      throw new StoreException(
          CORRUPT,
          "cannot use image \""
              + name
              + "\": its tag in domain "
              + ObjectNames.domain(name.owner().orElseThrow())
              + " is malformed (push the image again)");
    }
    return tag;
  }
}
