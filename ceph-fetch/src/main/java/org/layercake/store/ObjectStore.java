package org.layercake.store;

import static org.layercake.store.StoreException.Kind.CORRUPT;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.function.IntPredicate;

/**
 * What an image store needs of its back end. Objects are immutable and written whole or not at all;
 * tags are small values that move by compare-and-swap. Both live in access domains. Safe for use by
 * many threads.
 */
interface ObjectStore extends AutoCloseable {
  /** A read under way. Its buffer is not to be touched before {@link #await} has returned. */
  interface PendingRead {
    /**
     * Waits, in bounded time, and returns the number of bytes read.
     *
     * @throws StoreException of kind NOT_FOUND when there is no such object
     */
    int await() throws StoreException;

    /** Asks for an early end, also while another thread waits; {@link #await} must be called. */
    void cancel();
  }

  /** Which of an object's copies is read, where there are several. */
  enum Copy {
    /** The one that the configuration says. */
    PREFERRED,
    /** The one that is asked when nothing is configured. */
    PRIMARY
  }

  /**
   * What the store knows of an object without reading it.
   *
   * @param seen when it was written or last touched, to the second
   */
  record Trace(Instant seen, long bytes) {}

  /** The longest value of a tag. */
  int MAX_TAG_BYTES = 16 << 10;

  /** What tags are listed together: 10,000, and some audiences. */
  int MAX_LISTED_BYTES = 4 << 20;

  /** Begins to read an object into a direct buffer, from the buffer's index 0, up to its limit. */
  PendingRead startRead(String domain, String object, ByteBuffer target, Copy copy)
      throws StoreException;

  /** Whether other copies than the primary one may be read, now. */
  boolean readsReplicas();

  /**
   * Reads the copies of an object that are not the primary one, each by itself, until one is right;
   * none where {@link #readsReplicas} says no. Blocks, up to some 30 s for each.
   *
   * @param target a direct buffer, filled from its index 0
   * @param isRight looks at it; is told the number of bytes
   * @return whether one was right
   * @throws StoreException of kind UNAVAILABLE when none was and some have not answered
   */
  boolean readReplicas(String domain, String object, ByteBuffer target, IntPredicate isRight)
      throws StoreException;

  /**
   * Opens an object to read it from its beginning to its end, or nothing when there is none. More
   * than {@code maxBytes} is CORRUPT. The stream throws {@link StoreStream.Failure}, and need not
   * be closed by whoever has read it to its end or failed to.
   *
   * @param copy PRIMARY for what may change or go and come again
   */
  Optional<InputStream> open(String domain, String object, int maxBytes, Copy copy)
      throws StoreException;

  /** Reads a whole object as {@link #open} does. */
  default Optional<byte[]> read(String domain, String object, int maxBytes, Copy copy)
      throws StoreException {
    Optional<InputStream> stream = open(domain, object, maxBytes, copy);
    if (stream.isEmpty()) {
      return Optional.empty();
    }
    try (InputStream in = stream.get()) {
      return Optional.of(in.readAllBytes());
    } catch (StoreStream.Failure e) {
      throw e.getCause();
    } catch (IOException e) {
      throw new StoreException(CORRUPT, "cannot read " + object + " of " + domain, e);
    }
  }

  /** Reads a whole object that never changes. */
  default Optional<byte[]> read(String domain, String object, int maxBytes) throws StoreException {
    return read(domain, object, maxBytes, Copy.PREFERRED);
  }

  /** Bytes as {@link #create} and {@link #overwrite} take them. */
  static ByteBuffer content(byte[] bytes) {
    return ByteBuffer.allocateDirect(bytes.length).put(0, bytes);
  }

  /** Writes a new object from the buffer's index 0 to its limit; false if it exists already. */
  boolean create(String domain, String object, ByteBuffer content) throws StoreException;

  /** Writes over a damaged object, in one step. */
  void overwrite(String domain, String object, ByteBuffer content) throws StoreException;

  /** Marks an object as still wanted, so that it is not pruned; false if there is none. */
  boolean touch(String domain, String object) throws StoreException;

  /** Empty if there is none, or if it bears no such time. */
  Optional<Trace> trace(String domain, String object) throws StoreException;

  /**
   * Removes an object in one step with the check that nobody has touched it since.
   *
   * @param seen what {@link #trace} said
   * @return false if it was touched, or is not there
   */
  boolean remove(String domain, String object, Instant seen) throws StoreException;

  /**
   * Names each object once, with its domain, in any order. What is there from beginning to end is
   * named; what comes or goes meanwhile may be.
   *
   * @param domain the one to walk; empty for all there are
   */
  void list(Optional<String> domain, BiConsumer<String, String> each) throws StoreException;

  /** How full the store's place is; empty if it cannot tell. */
  Optional<Space> space() throws StoreException;

  Optional<byte[]> readTag(String domain, String tag) throws StoreException;

  /** Several tags of a domain, as they are at one moment where the store can say that. */
  default Map<String, byte[]> readTags(String domain, List<String> tags) throws StoreException {
    Map<String, byte[]> found = new HashMap<>();
    for (String tag : tags) {
      readTag(domain, tag).ifPresent(value -> found.put(tag, value));
    }
    return found;
  }

  /**
   * Moves a tag if it still is what the caller saw. Empty stands for no tag, on either side.
   *
   * @return false if it was not {@code expected}; nothing has changed then
   */
  boolean swapTag(String domain, String tag, Optional<byte[]> expected, Optional<byte[]> wanted)
      throws StoreException;

  /**
   * Fails where a write to a domain would, for want of a right or of room, as far as that can be
   * known. Changes nothing.
   */
  default void requireWritable(String domain) throws StoreException {
    touch(domain, "probe"); // no object has this name
  }

  /** Takes one tag after the other. */
  interface TagVisitor {
    /**
     * Takes one, and says whether to go on.
     *
     * @param value cut off behind {@link #MAX_TAG_BYTES} and one more
     */
    boolean visit(String tag, byte[] value) throws StoreException;
  }

  /** What of tags is read. */
  enum TagPart {
    /** The value is empty: what users have written there takes no memory. */
    NAME,
    NAME_AND_VALUE
  }

  /** Shows the domain's tags, in any order, each once; none if there is no such domain. */
  void visitTags(String domain, TagPart part, TagVisitor visitor) throws StoreException;

  /**
   * The domain's tags.
   *
   * @param tags sorted, with their values; at most as many as were wanted and {@link
   *     #MAX_LISTED_BYTES} together: users write them, and all are held
   * @param isComplete whether there are no more
   */
  record TagList(SortedMap<String, byte[]> tags, boolean isComplete) {}

  /** The domain's first tags. */
  default TagList listTags(String domain, TagPart part, int max) throws StoreException {
    TreeMap<String, byte[]> tags = new TreeMap<>();
    AtomicInteger room = new AtomicInteger(MAX_LISTED_BYTES);
    AtomicBoolean isComplete = new AtomicBoolean(true);
    visitTags(
        domain,
        part,
        (tag, value) -> {
          boolean fits = tags.size() < max && room.addAndGet(-tag.length() - value.length) >= 0;
          if (fits) {
            tags.put(tag, value);
          } else {
            isComplete.set(false);
          }
          return fits;
        });
    return new TagList(tags, isComplete.get());
  }

  /** Little will be asked for a while; the next read ends that. */
  default void rest() {}

  @Override
  void close();
}
