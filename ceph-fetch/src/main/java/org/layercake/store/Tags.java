package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.INVALID;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

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

  /** All that a name points to, in one read. */
  Entries seen(ImageName name) throws StoreException {
    List<String> keys = new ArrayList<>(List.of(ObjectNames.tag(name)));
    Machines.KNOWN.forEach(machine -> keys.add(ObjectNames.tag(name, machine)));
    return Entries.of(name, store.readTags(domain(name), keys));
  }

  /**
   * What a name points to for a processor; another one's image if there is none for it.
   *
   * @throws StoreException of kind CORRUPT when its entry is no tag
   */
  Optional<Tag> find(ImageName name, String machine) throws StoreException {
    return seen(name).tagFor(machine);
  }

  /** Empty also for what is no tag. */
  private static Optional<Tag> parse(Optional<byte[]> stored) throws StoreException {
    return stored.isEmpty() ? Optional.empty() : Tag.read(stored.get());
  }

  /**
   * Points a name at an image that was there a moment ago: in the place of the one for the same
   * processor, or beside those for others. Whoever puts one for another processor there at the same
   * moment is in nobody's way.
   *
   * @param before what {@link #seen} gave
   * @param machine that the image is for
   */
  void move(Entries before, String machine, Tag wanted) throws StoreException {
    Entries now = before;
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      String key = place(now, machine, wanted);
      if (move(now.name(), key, now.value(key), wanted)) {
        if (!Machines.KNOWN.contains(machine)) {
          removeOthers(now, Set.of(wanted.digest())); // this one is for all of them
        }
        return;
      }
      now = seen(before.name());
      String next = place(now, machine, wanted);
      if (next.equals(key) || now.value(next).isPresent()) {
        break;
      }
    }
    throw lostRace("move tag", before.name());
  }

  /** Under which key an image is put. */
  private String place(Entries entries, String machine, Tag wanted) throws StoreException {
    if (!Machines.KNOWN.contains(machine)) {
      return Entries.FIRST;
    }
    Optional<Tag> first = entries.tag(Entries.FIRST);
    boolean isBeside =
        entries.value(machine).isPresent()
            || (first.isPresent()
                && !first.get().digest().equals(wanted.digest())
                && architecture(entries.name(), first.get().digest())
                    .filter(its -> Machines.KNOWN.contains(its) && !its.equals(machine))
                    .isPresent());
    return isBeside ? machine : Entries.FIRST;
  }

  /** What an image is for; empty when its manifest cannot be used. */
  Optional<String> architecture(ImageName name, Digest digest) throws StoreException {
    try {
      return Manifests.read(store, domain(name), digest).map(its -> its.config().architecture());
    } catch (Manifest.MalformedException e) {
      return Optional.empty();
    } catch (StoreException e) {
      if (e.kind() == CORRUPT) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /** Points a name at these images, and at no others. */
  void copy(List<Tagged> images, ImageName target) throws StoreException {
    Entries before = seen(target);
    for (Tagged image : images) {
      Tag tag = new Tag(image.digest(), image.size());
      Optional<String> machine = image.machine();
      if (machine.isEmpty()) {
        machine = architecture(image.name(), image.digest());
      }
      move(seen(target), machine.orElse(Machines.ANY), tag);
    }
    removeOthers(before, images.stream().map(Tagged::digest).collect(Collectors.toSet()));
  }

  /** One that has moved meanwhile stays. */
  private void removeOthers(Entries entries, Set<Digest> kept) throws StoreException {
    for (String key : entries.values().keySet()) {
      Optional<Tag> left = entries.tag(key);
      if (left.isEmpty() || !kept.contains(left.get().digest())) {
        if (left.isPresent()) {
          touch(entries.name(), left.get());
        }
        swap(entries.name(), key, entries.value(key), Optional.empty());
      }
    }
  }

  /**
   * The last touch proves that the manifest still is there: a collection that has not seen the tag
   * move fails to remove what was touched, and one that was faster is found out.
   *
   * @return false if it is not what it was before
   */
  private boolean move(ImageName name, String key, Optional<byte[]> before, Tag wanted)
      throws StoreException {
    Optional<Tag> left = parse(before);
    if (left.filter(tag -> !tag.digest().equals(wanted.digest())).isPresent()) {
      touch(name, left.get()); // its grace begins now
    }
    boolean moved =
        left.equals(Optional.of(wanted))
            || swap(name, key, before, Optional.of(wanted.bytes()))
            || seen(name).tag(key).equals(Optional.of(wanted));
    if (moved && !touch(name, wanted)) {
      undoMove(name, key, before, wanted);
      throw new StoreException(
          UNAVAILABLE,
          "cannot tag \""
              + name
              + "\": its image was collected as garbage at the same time (push it again)");
    }
    return moved;
  }

  /** Back to what the tag was, if that is still there; if someone else moved it, that holds. */
  private void undoMove(ImageName name, String key, Optional<byte[]> before, Tag wanted)
      throws StoreException {
    boolean undone = swap(name, key, Optional.of(wanted.bytes()), before);
    Optional<Tag> left = parse(before);
    if (undone && left.isPresent() && !touch(name, left.get())) {
      swap(name, key, before, Optional.empty());
    }
  }

  /**
   * Removes a name, for all processors or one; the images' bytes stay.
   *
   * @return what it pointed to: first what was first
   */
  List<Tagged> remove(ImageName name, Optional<String> machine) throws StoreException {
    Entries entries = seen(name);
    List<String> keys = new ArrayList<>(entries.values().keySet());
    if (machine.isPresent()) {
      keys.removeIf(key -> !key.equals(machine.get()));
      Optional<Tag> first = entries.tag(Entries.FIRST);
      boolean isFirst =
          keys.isEmpty()
              && first.isPresent()
              && architecture(name, first.get().digest()).equals(machine);
      if (isFirst) {
        keys.add(Entries.FIRST);
      }
    }
    List<Tagged> removed = new ArrayList<>();
    Collections.reverse(keys); // the first last: without it nodes would be told of others
    for (String key : keys) {
      entries.tagFor(key); // what is no tag is not removed
      removed.add(0, remove(entries, key));
    }
    return removed;
  }

  private Tagged remove(Entries entries, String key) throws StoreException {
    ImageName name = entries.name();
    Optional<Tag> tag = entries.tag(key);
    if (tag.isPresent()) {
      touch(name, tag.get()); // the grace of what no tag needs begins now
    }
    if (!swap(name, key, entries.value(key), Optional.empty())) {
      throw lostRace("remove", name);
    }
    return tagged(name, key, tag.orElseThrow(), Audience.NOBODY);
  }

  private static Tagged tagged(ImageName name, String key, Tag tag, Audience audience) {
    Optional<String> machine = Optional.of(key).filter(its -> !its.equals(Entries.FIRST));
    return new Tagged(name, tag.digest(), tag.size(), audience, machine);
  }

  private boolean swap(
      ImageName name, String key, Optional<byte[]> expected, Optional<byte[]> wanted)
      throws StoreException {
    String tag = key.equals(Entries.FIRST) ? ObjectNames.tag(name) : ObjectNames.tag(name, key);
    return store.swapTag(domain(name), tag, expected, wanted);
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

  /** All images of a name, with what they are for if there are several. */
  List<Tagged> all(ImageName name) throws StoreException {
    Entries entries = seen(name);
    List<Tagged> all = new ArrayList<>();
    for (String key : entries.values().keySet()) {
      Optional<Tag> tag = entries.tag(key);
      if (tag.isPresent()) {
        Tagged one = tagged(name, key, tag.get(), Audience.NOBODY);
        all.add(entries.areSeveral() ? withMachine(one) : one);
      }
    }
    return all;
  }

  /** The first image's is in its manifest alone. */
  private Tagged withMachine(Tagged image) throws StoreException {
    return image.machine().isPresent()
        ? image
        : new Tagged(
            image.name(),
            image.digest(),
            image.size(),
            image.audience(),
            architecture(image.name(), image.digest()));
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
        String key = ObjectNames.machine(entry.getKey()).orElse(Entries.FIRST);
        Audience who =
            owner.equals(ImageName.SITE)
                ? Audience.ALL
                : Audience.read(Optional.ofNullable(audience));
        tags.add(tagged(name.get(), key, tag.get(), who));
      }
    }
    return new Listing(withMachines(tags), listed.isComplete());
  }

  private List<Tagged> withMachines(List<Tagged> tags) throws StoreException {
    Set<ImageName> several = new HashSet<>();
    tags.stream().filter(tag -> tag.machine().isPresent()).forEach(tag -> several.add(tag.name()));
    List<Tagged> all = new ArrayList<>();
    for (Tagged tag : tags) {
      all.add(several.contains(tag.name()) ? withMachine(tag) : tag);
    }
    return all;
  }

  /** The first names of an owner's tags, wherever they point. */
  List<ImageName> names(String owner, int max) throws StoreException {
    return store
        .listTags(ObjectNames.domain(owner), ObjectStore.TagPart.NAME, max)
        .tags()
        .keySet()
        .stream()
        .flatMap(tag -> ObjectNames.image(owner, tag).stream())
        .distinct()
        .toList();
  }

  /** Whether a tag of that name points to the name's digest. */
  boolean pointTo(ImageName name) throws StoreException {
    for (ImageName tag : names(name.owner().orElseThrow(), Listing.MAX_ENTRIES)) {
      if (tag.name().equals(name.name())) {
        for (byte[] value : seen(tag).values().values()) {
          if (Tag.read(value).map(Tag::digest).equals(name.digest())) {
            return true;
          }
        }
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
