package org.layercake.store;

import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import java.lang.ref.WeakReference;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * Manifests in memory. Whoever asks for one that somebody has gets the same one; only two are read
 * at a time; and those in use together have a bound. So the heap holds, however many ask at once
 * and however large the manifests are that users store.
 */
final class ManifestCache {
  /** That a manifest is in one domain tells nothing to the readers of another. */
  private record InDomain(String domain, Digest digest) {}

  /** Reads a manifest; empty when there is none. */
  interface Source {
    Optional<Manifest> read() throws StoreException;
  }

  /** How many are kept though nobody uses them: to parse the manifest of 8 GB takes 30 ms. */
  private static final int MAX_KEPT = 4;

  /** A manifest of so many chunks takes 0.7 MB of memory. One with more is not kept. */
  private static final int MAX_KEPT_CHUNKS = 20_000;

  /** Of all manifests in use together, 36 MB. Those that are small enough to keep go beyond it. */
  static final int MAX_CHUNKS_IN_USE = 1_000_000;

  private static final int READS_AT_ONCE = 2;
  private static final long WAIT_SECONDS = 120;

  private final Semaphore reads = new Semaphore(READS_AT_ONCE, true);
  private final Map<InDomain, Manifest> kept = new LinkedHashMap<>(); // guarded by this
  private final Map<InDomain, WeakReference<Manifest>> used = new HashMap<>(); // guarded by this

  /**
   * The manifest of that digest, from memory if it is there.
   *
   * @throws StoreException of kind UNAVAILABLE when too many others are being read or in use, or
   *     the calling thread is interrupted
   */
  Optional<Manifest> get(String domain, Digest digest, Source source) throws StoreException {
    InDomain key = new InDomain(domain, digest);
    Optional<Manifest> known = find(key);
    if (known.isPresent()) {
      return known;
    }
    awaitTurn(digest);
    try {
      known = find(key); // somebody before us may have read it
      if (known.isPresent()) {
        return known;
      }
      Optional<Manifest> manifest = source.read();
      return manifest.isEmpty() ? manifest : Optional.of(add(key, manifest.get()));
    } finally {
      reads.release();
    }
  }

  private void awaitTurn(Digest digest) throws StoreException {
    try {
      if (reads.tryAcquire(WAIT_SECONDS, TimeUnit.SECONDS)) {
        return;
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    throw new StoreException(
        UNAVAILABLE,
        "cannot read the manifest "
            + digest
            + ": too many other manifests are being read (try again later)");
  }

  private synchronized Optional<Manifest> find(InDomain key) {
    WeakReference<Manifest> reference = used.get(key);
    Manifest manifest = reference == null ? null : reference.get();
    if (manifest != null && kept.remove(key) != null) {
      kept.put(key, manifest); // the last used is the last
    }
    return Optional.ofNullable(manifest);
  }

  /** What all are to use: somebody may have read it at the same time. */
  private synchronized Manifest add(InDomain key, Manifest manifest) throws StoreException {
    Optional<Manifest> known = find(key);
    if (known.isPresent()) {
      return known.get();
    }
    int chunks = manifest.chunks().size();
    boolean fits = chunksInUse() + chunks <= MAX_CHUNKS_IN_USE;
    if (chunks > MAX_KEPT_CHUNKS) {
      requireRoom(chunks, fits);
    } else {
      kept.put(key, manifest);
      if (kept.size() > MAX_KEPT) {
        kept.remove(kept.keySet().iterator().next());
      }
    }
    used.put(key, new WeakReference<>(manifest));
    return manifest;
  }

  private void requireRoom(int chunks, boolean fits) throws StoreException {
    if (fits) {
      return;
    }
    System.gc(); // only the collector knows what nobody uses any more
    if (chunksInUse() + chunks > MAX_CHUNKS_IN_USE) {
      throw new StoreException(
          UNAVAILABLE,
          "cannot use the image: it has "
              + chunks
              + " chunks, and together with the images in use that is more than "
              + MAX_CHUNKS_IN_USE
              + " (try again later, or on another node)");
    }
  }

  /** Forgets those that are gone, too. */
  private synchronized long chunksInUse() {
    long chunks = 0;
    for (Iterator<WeakReference<Manifest>> all = used.values().iterator(); all.hasNext(); ) {
      Manifest manifest = all.next().get();
      if (manifest == null) {
        all.remove();
      } else {
        chunks += manifest.chunks().size();
      }
    }
    return chunks;
  }
}
