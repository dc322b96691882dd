package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.Predicate;

/**
 * Finds the image that a name means, for whoever may have it, and reads its manifest; else says
 * which names are near.
 */
final class Resolver {
  private static final int MAX_ATTEMPTS = 5;
  private static final int MAX_LISTED_FOR_HINTS = 1_000;
  private static final int MAX_HINTS = 3;

  private final ObjectStore store;
  private final Tags tags;
  private final JobRecords jobs;
  private final String here;
  private final ManifestCache manifests = new ManifestCache();

  /**
   * @param here the processor whose image is meant where a name has several
   */
  Resolver(ObjectStore store, Tags tags, JobRecords jobs, String here) {
    this.here = here;
    this.store = store;
    this.tags = tags;
    this.jobs = jobs;
  }

  /**
   * Finds an image for a user whose own key this store has: a bare name in the user's own domain
   * first, then in the site's library; with an owner there only. Other users' images are denied,
   * whether they exist or not.
   */
  Image resolve(ImageName name, String user) throws StoreException {
    if (Ownership.foreign(name, user).isPresent()) {
      throw new StoreException(
          DENIED,
          "cannot read image \""
              + name
              + "\": your key reads your own images and the site's (if "
              + name.owner().orElseThrow()
              + " shares it with you, jobs can: srun --ch-image="
              + name
              + ")");
    }
    return resolveAmong(Ownership.owners(name, user), name);
  }

  /** The image of that name that is for a processor, and no other. */
  Image resolve(ImageName name, String user, String machine) throws StoreException {
    Image found = resolve(name, user);
    if (name.digest().isEmpty()) {
      Optional<Tag> tag = tags.find(found.name(), machine);
      if (tag.isPresent()) {
        found = loadTagged(found.name(), tag.get().digest());
      }
    }
    String its = found.manifest().config().architecture();
    if (!its.equals(machine) && !its.equals(Machines.ANY)) {
      throw new StoreException(
          NOT_FOUND,
          "cannot find image \""
              + name
              + "\" for "
              + machine
              + ": there is one for "
              + its
              + " (see: layercake ls "
              + name.tagged()
              + ")");
    }
    return found;
  }

  /**
   * Finds an image for a user to run, with a key that reads all: also another user's, if its owner
   * shares it.
   *
   * @param memberOf whether the user is in the group of that name
   */
  Image resolveToRun(ImageName name, String user, Predicate<String> memberOf)
      throws StoreException {
    Optional<String> owner = Ownership.foreign(name, user);
    if (owner.isEmpty()) {
      return resolveAmong(Ownership.owners(name, user), name);
    }
    // Who may run what has this name may run what its tags point to, not what else the owner has.
    if (!tags.audience(name).admits(user, memberOf)
        || (name.digest().isPresent() && !tags.pointTo(name))) {
      throw new StoreException(
          DENIED,
          "cannot use image \""
              + name
              + "\": "
              + owner.get()
              + " does not share it with you (ask for: layercake share "
              + name.name()
              + " --with "
              + user
              + ")");
    }
    return resolveAmong(List.of(owner.get()), name);
  }

  /** The same for a job: what its record says, or else what the record then says. */
  Image resolveForJob(JobRef job, ImageName name, String user, Predicate<String> memberOf)
      throws StoreException {
    if (name.digest().isPresent()) {
      return resolveToRun(name, user, memberOf);
    }
    for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      Optional<JobRecord> record = jobs.find(job, name);
      if (record.isPresent()) {
        return recorded(job, name, user, record.get());
      }
      Image image = resolveToRun(name, user, memberOf);
      // Its other nodes may have other processors.
      Entries all = tags.seen(image.name());
      if (all.areSeveral()) {
        image = loadTagged(image.name(), all.tagFor(here).orElseThrow().digest());
      }
      if (jobs.create(job, name, image, all)) {
        return image;
      }
    }
    throw new StoreException(
        UNAVAILABLE,
        "cannot determine which image "
            + job
            + " runs: its record comes and goes (try again; if that does not help, tell an"
            + " administrator that clocks may differ)");
  }

  /** A record chooses among the images of those whose name it is, and no other's. */
  private Image recorded(JobRef job, ImageName name, String user, JobRecord record)
      throws StoreException {
    if (!Ownership.owners(name, user).contains(record.owner())) {
      throw new StoreException(
          CORRUPT,
          "cannot use image \""
              + name
              + "\": the record "
              + ObjectNames.record(job, name)
              + " of what "
              + job
              + " runs names an image of "
              + record.owner()
              + " (tell an administrator: somebody may have a node's key)");
    }
    return load(name.withOwner(record.owner()), record.digestFor(here))
        .orElseThrow(
            () ->
                new StoreException(
                    NOT_FOUND,
                    "cannot find image \""
                        + name
                        + "\": "
                        + job
                        + " runs "
                        + record.digestFor(here)
                        + " since "
                        + record.created()
                        + ", which was collected as garbage meanwhile (push it again, or submit the"
                        + " job again)"));
  }

  /** By the name of {@link Image#pinned}. */
  Image reload(ImageName pinned) throws StoreException {
    return resolveAmong(List.of(pinned.owner().orElseThrow()), pinned);
  }

  private Image resolveAmong(List<String> owners, ImageName name) throws StoreException {
    for (String owner : owners) {
      Optional<Image> image = find(name.withOwner(owner));
      if (image.isPresent()) {
        return image.get();
      }
    }
    throw notFound(name, owners);
  }

  private Optional<Image> find(ImageName name) throws StoreException {
    if (name.digest().isPresent()) {
      return load(name, name.digest().get());
    }
    Optional<Tag> tag = tags.find(name, here);
    if (tag.isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(loadTagged(name, tag.get().digest()));
  }

  /** What a tag points to must be there. */
  private Image loadTagged(ImageName name, Digest digest) throws StoreException {
    Optional<Image> image = load(name, digest);
    if (image.isEmpty()) {
      throw new StoreException(
          CORRUPT,
          "cannot use image \""
              + name
              + "\": the manifest "
              + digest
              + " is missing in domain "
              + ObjectNames.domain(name.owner().orElseThrow())
              + " (push the image again)");
    }
    return image.get();
  }

  /** The image of that digest in the name's domain; empty also when its manifest is damaged. */
  Optional<Image> usable(ImageName name, Digest digest) throws StoreException {
    try {
      return load(name, digest);
    } catch (StoreException e) {
      if (e.kind() == CORRUPT) {
        return Optional.empty();
      }
      throw e;
    }
  }

  private Optional<Image> load(ImageName name, Digest digest) throws StoreException {
    String domain = ObjectNames.domain(name.owner().orElseThrow());
    return manifests
        .get(domain, digest, () -> read(domain, name, digest))
        .map(manifest -> new Image(domain, name, digest, manifest));
  }

  private Optional<Manifest> read(String domain, ImageName name, Digest digest)
      throws StoreException {
    try {
      return Manifests.read(store, domain, digest);
    } catch (Manifest.MalformedException e) {
      throw new StoreException(
          CORRUPT,
          "cannot use image \""
              + name
              + "\": the manifest "
              + digest
              + " in domain "
              + domain
              + (e.isDamaged()
                  ? " is corrupt (push the image again with --repair)"
                  : " is malformed, and was when it was stored: "
                      + e.getMessage()
                      + " (push the image again)"),
          e);
    }
  }

  /** Refuses a name under which its owner has nothing. */
  void requireKnown(ImageName asked, ImageName name) throws StoreException {
    if (!tags.know(name)) {
      throw notFound(asked, List.of(name.owner().orElseThrow()));
    }
  }

  /** That none of the owners has such an image, and which near names they have. */
  StoreException notFound(ImageName name, List<String> owners) throws StoreException {
    TreeSet<String> near = new TreeSet<>();
    for (String owner : owners) {
      if (name.digest().isEmpty()) {
        near.addAll(NearNames.find(name, tags.names(owner, MAX_LISTED_FOR_HINTS)));
      }
    }
    String hint =
        near.isEmpty()
            ? "see: layercake ls"
            : "did you mean " + String.join(", ", near.stream().limit(MAX_HINTS).toList()) + "?";
    String places = String.join(" or ", owners.stream().map(Resolver::placeName).toList());
    return new StoreException(
        NOT_FOUND, "cannot find image \"" + name + "\": not among " + places + " (" + hint + ")");
  }

  private static String placeName(String owner) {
    return owner.equals(ImageName.SITE) ? "the site's images" : "the images of " + owner;
  }
}
