package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.INVALID;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The tags of a store, and with whom their names are shared. Each moves by compare-and-swap; names
 * have their owner here. docs/store-format.md, "Collection", says why a move touches manifests.
 */
final class Tags {
  private static final int MAX_ATTEMPTS = 5;

  /** Of a domain whose garbage is collected. */
  private static final int MAX_IMAGES = 1_000_000;

  private final ObjectStore store;

  Tags(ObjectStore store) {
    this.store = store;
  }

  private static String domain(ImageName name) {
    return ObjectNames.domain(name.owner().orElseThrow());
  }

  /** What a tag's entry is, whatever that is: what {@link #move} compares it with. */
  Optional<byte[]> seen(ImageName name) throws StoreException {
    return store.readTag(domain(name), ObjectNames.tag(name));
  }

  /**
   * What a tag points to.
   *
   * @throws StoreException of kind CORRUPT when its entry is no tag
   */
  Optional<Tag> find(ImageName name) throws StoreException {
    Optional<byte[]> stored = seen(name);
    Optional<Tag> tag = parse(stored);
    if (stored.isPresent() && tag.isEmpty()) {
      throw new StoreException(
          CORRUPT,
          "cannot use image \""
              + name
              + "\": its tag in domain "
              + domain(name)
              + " is malformed (push the image again)");
    }
    return tag;
  }

  /** Empty also for what is no tag. */
  private static Optional<Tag> parse(Optional<byte[]> stored) throws StoreException {
    return stored.isEmpty() ? Optional.empty() : Tag.read(stored.get());
  }

  /**
   * Points a tag at a manifest that was there a moment ago. The last touch proves that it still is:
   * a collection that has not seen the tag move fails to remove what was touched, and one that was
   * faster is found out.
   *
   * @param before what {@link #seen} gave
   */
  void move(ImageName name, Optional<byte[]> before, Tag wanted) throws StoreException {
    Optional<Tag> left = parse(before);
    if (left.filter(tag -> !tag.digest().equals(wanted.digest())).isPresent()) {
      touch(name, left.get()); // its grace begins now
    }
    boolean moved =
        left.equals(Optional.of(wanted))
            || swap(name, before, Optional.of(wanted.bytes()))
            || parse(seen(name)).equals(Optional.of(wanted));
    if (!moved) {
      throw lostRace("move tag", name);
    }
    if (!touch(name, wanted)) {
      undoMove(name, before, wanted);
      throw new StoreException(
          UNAVAILABLE,
          "cannot tag \""
              + name
              + "\": its image was collected as garbage at the same time (push it again)");
    }
  }

  /** Back to what the tag was, if that is still there; if someone else moved it, that holds. */
  private void undoMove(ImageName name, Optional<byte[]> before, Tag wanted) throws StoreException {
    boolean undone = swap(name, Optional.of(wanted.bytes()), before);
    Optional<Tag> left = parse(before);
    if (undone && left.isPresent() && !touch(name, left.get())) {
      swap(name, before, Optional.empty());
    }
  }

  /** Removes a tag; the image's bytes stay. Says what it pointed to, empty when there is none. */
  Optional<Tag> remove(ImageName name) throws StoreException {
    Optional<Tag> before = find(name);
    if (before.isPresent()) {
      touch(name, before.get()); // the grace of what no tag needs begins now
      if (!swap(name, before.map(Tag::bytes), Optional.empty())) {
        throw lostRace("remove", name);
      }
    }
    return before;
  }

  private boolean swap(ImageName name, Optional<byte[]> expected, Optional<byte[]> wanted)
      throws StoreException {
    return store.swapTag(domain(name), ObjectNames.tag(name), expected, wanted);
  }

  private boolean touch(ImageName name, Tag tag) throws StoreException {
    return store.touch(domain(name), ObjectNames.manifest(tag.digest()));
  }

  private static StoreException lostRace(String act, ImageName name) {
    return new StoreException(
        UNAVAILABLE,
        "cannot "
            + act
            + " \""
            + name
            + "\": someone else moved it at the same time (look with \"layercake ls\", try again)");
  }

  /** An owner's tags. Entries that are none are left out. */
  Listing list(String owner) throws StoreException {
    ObjectStore.TagList listed =
        store.listTags(
            ObjectNames.domain(owner), ObjectStore.TagPart.NAME_AND_VALUE, Listing.MAX_ENTRIES);
    List<Tagged> tags = new ArrayList<>();
    for (Map.Entry<String, byte[]> entry : listed.tags().entrySet()) {
      Optional<ImageName> name = ObjectNames.image(owner, entry.getKey());
      Optional<Tag> tag = Tag.read(entry.getValue());
      if (name.isPresent() && tag.isPresent()) {
        byte[] audience = listed.tags().get(ObjectNames.audience(name.get().name()));
        tags.add(
            new Tagged(
                name.get(),
                tag.get().digest(),
                tag.get().size(),
                owner.equals(ImageName.SITE)
                    ? Audience.ALL
                    : Audience.read(Optional.ofNullable(audience))));
      }
    }
    return new Listing(tags, listed.isComplete());
  }

  /** The first names of an owner's tags, wherever they point. */
  List<ImageName> names(String owner, int max) throws StoreException {
    return store
        .listTags(ObjectNames.domain(owner), ObjectStore.TagPart.NAME, max)
        .tags()
        .keySet()
        .stream()
        .flatMap(tag -> ObjectNames.image(owner, tag).stream())
        .toList();
  }

  /** Whether a tag of that name points to the name's digest. */
  boolean pointTo(ImageName name) throws StoreException {
    for (ImageName tag : names(name.owner().orElseThrow(), Listing.MAX_ENTRIES)) {
      if (tag.name().equals(name.name())
          && parse(seen(tag)).map(Tag::digest).equals(name.digest())) {
        return true;
      }
    }
    return false;
  }

  /** All that tags of a domain point to, each with the name and tag of one of them. */
  Map<Digest, String> targets(String domain) throws StoreException {
    Map<Digest, String> targets = new HashMap<>();
    store.visitTags(
        domain,
        ObjectStore.TagPart.NAME_AND_VALUE,
        (key, value) -> {
          Tag.read(value).ifPresent(tag -> targets.putIfAbsent(tag.digest(), key));
          return targets.size() <= MAX_IMAGES;
        });
    if (targets.size() > MAX_IMAGES) {
      throw new StoreException(
          INVALID, "cannot collect in domain " + domain + ": more than " + MAX_IMAGES + " images");
    }
    return targets;
  }

  /** Whether there is a tag of that name, or the name is still shared with somebody. */
  boolean know(ImageName name) throws StoreException {
    return names(name.owner().orElseThrow(), Listing.MAX_ENTRIES).stream()
            .anyMatch(tag -> tag.name().equals(name.name()))
        || storedAudience(name).isPresent();
  }

  /** Who beside its owner may run what has that name, whatever its tag. */
  Audience audience(ImageName name) throws StoreException {
    return name.owner().equals(Optional.of(ImageName.SITE))
        ? Audience.ALL
        : Audience.read(storedAudience(name));
  }

  /** Changes who beside its owner may run what has that name. */
  Audience share(ImageName name, Audience.Change change) throws StoreException {
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      Optional<byte[]> before = storedAudience(name);
      Audience wanted = change.apply(Audience.read(before));
      Optional<byte[]> after = wanted.isNobody() ? Optional.empty() : Optional.of(wanted.bytes());
      if (store.swapTag(domain(name), ObjectNames.audience(name.name()), before, after)) {
        return wanted;
      }
    }
    throw lostRace("share", name);
  }

  private Optional<byte[]> storedAudience(ImageName name) throws StoreException {
    return store.readTag(domain(name), ObjectNames.audience(name.name()));
  }
}
