package org.layercake.launcher.image;

import static java.nio.file.StandardOpenOption.READ;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.layercake.launcher.node.Event;
import org.layercake.store.Digest;
import org.layercake.store.Manifest;
import org.layercake.store.StoreException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Chunks of an image that the node has in other images, such as an older version: read from there,
 * and believed only if they match their digests.
 */
final class Seeds {
  private static final Logger log = LoggerFactory.getLogger(Seeds.class);

  /** To look for more, at some 200 bytes of memory each, costs more than it saves. */
  private static final int MAX_CHUNKS = 50_000;

  /** Looks for one image at a time. */
  private static final Object LOOKING = new Object();

  /** Where a chunk is. */
  private record Place(Path file, long offset) {}

  private final Manifest wanted;
  private final Map<Integer, Place> places = new HashMap<>();

  private Seeds(Manifest wanted) {
    this.wanted = wanted;
  }

  /**
   * Looks for an image's chunks.
   *
   * @param others complete images whose content may be given to all who may read this one, those
   *     first that are looked at first
   */
  static Seeds find(CacheLayout layout, Manifest wanted, List<ImageKey> others) {
    Seeds seeds = new Seeds(wanted);
    if (!others.isEmpty() && wanted.chunks().size() <= MAX_CHUNKS) {
      synchronized (LOOKING) {
        seeds.look(layout, others);
      }
    }
    return seeds;
  }

  private void look(CacheLayout layout, List<ImageKey> others) {
    Map<Digest, List<Integer>> open = new HashMap<>();
    for (int i = 0; i < wanted.chunks().size(); i++) {
      open.computeIfAbsent(wanted.chunks().get(i).digest(), d -> new ArrayList<>()).add(i);
    }
    for (ImageKey other : others) {
      if (!open.isEmpty()) {
        look(layout, other, open);
      }
    }
  }

  private void look(CacheLayout layout, ImageKey other, Map<Digest, List<Integer>> open) {
    try {
      Path file = layout.image(other);
      for (Manifest.Chunk chunk : layout.readManifest(other).chunks()) {
        List<Integer> same = open.remove(chunk.digest());
        if (same != null) {
          Place place = new Place(file, chunk.offset());
          same.forEach(index -> places.put(index, place));
        }
      }
    } catch (IOException | StoreException e) {
      other.on(Event.NO_SEED, log).addKeyValue("cause", e.getMessage()).log();
    }
  }

  /** The chunks that can be had here. */
  Set<Integer> chunks() {
    return places.keySet();
  }

  /**
   * Reads a chunk.
   *
   * @param buffer with room for it; holds the chunk from its position to its limit afterwards
   * @return whether it is what it should be
   */
  boolean read(int chunk, ByteBuffer buffer) {
    Manifest.Chunk expected = wanted.chunks().get(chunk);
    Place place = places.get(chunk);
    buffer.clear().limit(expected.length());
    // Opened for each: a file that is held open takes room after it was evicted.
    try (FileChannel file = FileChannel.open(place.file(), READ)) {
      while (buffer.hasRemaining() && file.read(buffer, place.offset() + buffer.position()) >= 0) {}
    } catch (IOException e) {
      Event.SEED_UNREADABLE
          .on(log)
          .addKeyValue("chunk", expected.digest())
          .addKeyValue("cause", e.getMessage())
          .log();
      return false;
    }
    return Digest.of(buffer.flip()).equals(expected.digest());
  }
}
