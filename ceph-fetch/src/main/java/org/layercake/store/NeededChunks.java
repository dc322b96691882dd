package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What the manifests of a domain need that stay. Of one that cannot be read nobody knows: damage
 * may be repaired, and a later version may read what this one cannot. Nor of one that is said not
 * to be there, while something says that it should be. So no chunk of its domain goes; the other
 * domains, and manifests, do not depend on it.
 */
final class NeededChunks {
  private final ObjectStore store;
  private final Tags tags;
  private final String domain;
  private final Set<Digest> listed;
  private final Set<Digest> chunks = new HashSet<>();
  private final Set<Digest> absent = new HashSet<>();
  private Optional<StoreException> unknown = Optional.empty();

  /**
   * @param listed the manifests that the store has named
   */
  NeededChunks(ObjectStore store, Tags tags, String domain, Set<Digest> listed) {
    this.store = store;
    this.tags = tags;
    this.domain = domain;
    this.listed = listed;
  }

  boolean contains(Digest chunk) {
    return chunks.contains(chunk);
  }

  /**
   * Adds a manifest's, and returns the bytes that no other needs.
   *
   * @param tag that points to it, or empty
   */
  long add(Digest manifest, String tag) throws StoreException {
    try {
      Optional<Manifest> found = Manifests.readFromPrimary(store, domain, manifest);
      if (found.isPresent()) {
        return add(found.get());
      }
      absent.add(manifest);
    } catch (Manifest.MalformedException e) {
      note(manifest, tag, (e.isDamaged() ? "damaged: " : "malformed: ") + e.getMessage(), e);
    } catch (StoreException e) {
      if (e.kind() == UNAVAILABLE || e.kind() == DENIED) {
        throw e;
      }
      note(manifest, tag, "unreadable: " + e.getMessage(), e);
    }
    return 0;
  }

  private long add(Manifest manifest) {
    long bytes = 0;
    for (Manifest.Chunk chunk : manifest.chunks()) {
      bytes += chunks.add(chunk.digest()) ? chunk.length() : 0;
    }
    return bytes;
  }

  /**
   * To be called when all have been added, before a chunk is judged: fails when it is not known
   * what all of them need.
   *
   * @param jobs what jobs run that may be requeued
   */
  void settle(Set<Digest> jobs) throws StoreException {
    settleAbsent(jobs);
    if (unknown.isPresent()) {
      throw unknown.get();
    }
  }

  /**
   * Tells manifests that others have removed meanwhile, which need nothing, from those that the
   * store has lost or does not show. Tags are listed anew: a manifest goes after its last tag.
   */
  private void settleAbsent(Set<Digest> jobs) throws StoreException {
    if (absent.isEmpty()) {
      return;
    }
    Map<Digest, String> tagged = tags.targets(domain);
    for (Digest manifest : Set.copyOf(absent)) {
      boolean isWanted =
          tagged.containsKey(manifest) || (listed.contains(manifest) && jobs.contains(manifest));
      if (isWanted || store.trace(domain, ObjectNames.manifest(manifest)).isPresent()) {
        requireAgain(manifest, tagged.getOrDefault(manifest, ""));
      }
    }
  }

  /** It may have been pushed again meanwhile. */
  private void requireAgain(Digest manifest, String tag) throws StoreException {
    absent.remove(manifest);
    add(manifest, tag);
    if (absent.contains(manifest)) {
      note(manifest, tag, "missing: the store says that it is not there", null);
    }
  }

  private void note(Digest manifest, String tag, String state, Exception cause) {
    if (unknown.isEmpty()) {
      unknown = Optional.of(unknown(manifest, tag, state, cause));
    }
  }

  private StoreException unknown(Digest manifest, String tag, String state, Exception cause) {
    String name = tag.replace('/', ':');
    String image = tag.isEmpty() ? "no tag points to" : ObjectNames.owner(domain) + "/" + name;
    String nextMove =
        tag.isEmpty()
            ? "it goes when its grace is over, if no job of late runs it"
            : "push " + name + " again with --repair, or: layercake rm " + name;
    return new StoreException(
        CORRUPT,
        "cannot remove chunks of domain "
            + domain
            + ": what manifest "
            + manifest
            + " needs, which "
            + (tag.isEmpty() ? image : "is " + image)
            + ", is unknown, since it is "
            + state
            + " ("
            + nextMove
            + ")",
        cause);
  }
}
