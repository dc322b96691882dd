package org.layercake.store;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.layercake.store.ObjectNames.TAGS;
import static org.layercake.store.RadosErrors.E2BIG;
import static org.layercake.store.RadosErrors.ECANCELED;
import static org.layercake.store.RadosErrors.EEXIST;
import static org.layercake.store.RadosErrors.ENODATA;
import static org.layercake.store.RadosErrors.ENOENT;
import static org.layercake.store.RadosErrors.ERANGE;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.time.InstantSource;
import java.time.format.DateTimeParseException;
import java.time.temporal.ChronoUnit;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import java.util.function.IntPredicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The store in a RADOS pool: an access domain is a RADOS namespace, an object an object.
 *
 * <p>The tags of a domain are the omap of its one object {@code t}, not objects of their own: RADOS
 * lists a namespace by walking the whole pool, chunks and all, but hands out an omap sorted.
 */
final class RadosStore implements ObjectStore {
  private static final Logger LOG = LoggerFactory.getLogger(RadosStore.class);

  private static final String SEEN = "seen";

  /**
   * Few: a user may write values of many MB, and all of a page are in memory before one is seen.
   */
  private static final int LIST_STEP = 16;

  private static final int MAX_TIME_BYTES = 32;
  // How often librados looks for operations without an answer, to ask for a new map: what it does
  // by itself, and while there are none. Each look wakes its thread some fifty times.
  private static final String LOOK = "objecter_tick_interval";
  private static final String BUSY_LOOK_SECONDS = "5";
  private static final String IDLE_LOOK_SECONDS = "60";

  private final RadosPool pool;
  private final String poolName;
  private final RadosErrors errors;
  private final RadosReads reads;
  private final InstantSource clock;
  private volatile boolean resting; // written under this

  private RadosStore(RadosPool pool, StoreConfig config, InstantSource clock) {
    this.pool = pool;
    this.poolName = config.pool();
    this.errors = new RadosErrors(config.client());
    this.reads = new RadosReads(pool, config, errors);
    this.clock = clock;
  }

  static RadosStore open(StoreConfig config, InstantSource clock) throws StoreException {
    RadosConnector.check(config);
    try {
      return new RadosStore(RadosConnector.connect(config, Map.of()), config, clock);
    } catch (RadosFailure e) {
      throw RadosErrors.notConnected(config, e);
    } catch (LinkageError e) {
      throw new StoreException(
          MISCONFIGURED, "cannot load librados: not installed (install librados2)", e);
    }
  }

  @Override
  public PendingRead startRead(String domain, String object, ByteBuffer target, Copy copy)
      throws StoreException {
    if (resting) {
      rest(false);
    }
    return reads.start(domain, object, target, copy);
  }

  @Override
  public boolean readsReplicas() {
    return reads.fromReplicas();
  }

  @Override
  public boolean readReplicas(String domain, String object, ByteBuffer target, IntPredicate isRight)
      throws StoreException {
    return reads.readReplicas(domain, object, target, isRight);
  }

  @Override
  public Optional<InputStream> open(String domain, String object, int maxBytes, Copy copy)
      throws StoreException {
    return reads.open(domain, object, maxBytes, copy);
  }

  @Override
  public boolean create(String domain, String object, ByteBuffer content) throws StoreException {
    // A pool that users have filled must not keep jobs from starting.
    boolean isLaunchers = domain.equals(ObjectNames.LAUNCHERS);
    int flags = isLaunchers ? RadosNamespace.FULL_FORCE : RadosNamespace.FULL_TRY;
    int code = namespace(domain).create(object, content, SEEN, now(), flags);
    if (code == EEXIST) {
      return false;
    }
    errors.check(code, "write", domain, object);
    return true;
  }

  @Override
  public void overwrite(String domain, String object, ByteBuffer content) throws StoreException {
    errors.check(
        namespace(domain).overwrite(object, content, SEEN, now()), "write", domain, object);
  }

  @Override
  public boolean touch(String domain, String object) throws StoreException {
    int code = namespace(domain).setAttribute(object, SEEN, now());
    if (code == ENOENT) {
      return false;
    }
    errors.check(code, "write", domain, object);
    return true;
  }

  @Override
  public Optional<Trace> trace(String domain, String object) throws StoreException {
    ByteBuffer value = ByteBuffer.allocateDirect(MAX_TIME_BYTES);
    int length = namespace(domain).readAttribute(object, SEEN, value);
    if (length == ENOENT || length == ENODATA || length == ERANGE) {
      return Optional.empty();
    }
    errors.check(length, "read", domain, object);
    byte[] text = new byte[length];
    value.get(0, text);
    long bytes = namespace(domain).length(object);
    if (bytes == ENOENT) {
      return Optional.empty();
    }
    errors.check((int) Math.min(bytes, Integer.MAX_VALUE), "read", domain, object);
    return time(new String(text, US_ASCII)).map(seen -> new Trace(seen, bytes));
  }

  /** Only what we would write ourselves: the removal compares the text. */
  private static Optional<Instant> time(String text) {
    try {
      Instant time = Instant.parse(text);
      return time.toString().equals(text) ? Optional.of(time) : Optional.empty();
    } catch (DateTimeParseException e) {
      return Optional.empty();
    }
  }

  @Override
  public boolean remove(String domain, String object, Instant seen) throws StoreException {
    int code = namespace(domain).removeIf(object, SEEN, seen.toString());
    if (code == ECANCELED || code == ENOENT) {
      return false;
    }
    errors.check(code, "remove", domain, object);
    return true;
  }

  @Override
  public void list(Optional<String> domain, BiConsumer<String, String> each) throws StoreException {
    String place = domain.orElse(RadosPool.EVERYWHERE);
    errors.check(namespace(place).list(each), "list", domain.orElse("any"), "objects");
  }

  /** A full pool refuses only what makes it fuller, so it has to be asked for. */
  @Override
  public void requireWritable(String domain) throws StoreException {
    ObjectStore.super.requireWritable(domain);
    if (isFull()) {
      throw errors.failure(RadosErrors.EDQUOT, "write", domain, "chunks");
    }
  }

  private boolean isFull() {
    try {
      return space()
          .filter(space -> space.usedBytes() >= space.limitBytes().orElse(Long.MAX_VALUE))
          .isPresent();
    } catch (StoreException e) {
      return false; // the first chunk will tell
    }
  }

  /** The monitors know how full a pool is from a mgr; without one there is no answer. */
  @Override
  public Optional<Space> space() throws StoreException {
    String command =
        "{\"prefix\":\"osd pool get-quota\",\"format\":\"json\",\"pool\":\"" + poolName + "\"}";
    try {
      return quota(pool.ask(command));
    } catch (RadosFailure e) {
      if (e.code() == ENOENT) {
        return Optional.empty();
      }
      throw errors.failure(e.code(), "ask for the quota", "any", poolName);
    }
  }

  private static Optional<Space> quota(String json) {
    Map<String, Long> numbers = new HashMap<>();
    try (JsonParser parser = new JsonFactory().createParser(json)) {
      while (parser.nextToken() != null) {
        if (parser.currentToken() == JsonToken.VALUE_NUMBER_INT) {
          numbers.put(parser.currentName(), parser.getLongValue());
        }
      }
    } catch (IOException e) {
      return Optional.empty();
    }
    Long used = numbers.get("current_num_bytes");
    long limit = numbers.getOrDefault("quota_max_bytes", 0L);
    return Optional.ofNullable(used)
        .map(u -> new Space(u, limit > 0 ? OptionalLong.of(limit) : OptionalLong.empty()));
  }

  @Override
  public Optional<byte[]> readTag(String domain, String tag) throws StoreException {
    return Optional.ofNullable(readTags(domain, List.of(tag)).get(tag));
  }

  @Override
  public Map<String, byte[]> readTags(String domain, List<String> tags) throws StoreException {
    Map<String, byte[]> found = new HashMap<>();
    int code = tags(domain).read(tags, found);
    if (code != ENOENT) {
      errors.check(code, "read tags", domain, tags.get(0));
    }
    return found;
  }

  @Override
  public boolean swapTag(
      String domain, String tag, Optional<byte[]> expected, Optional<byte[]> wanted)
      throws StoreException {
    // omap_cmp takes a missing entry for an empty one; no tag is ever empty.
    byte[] before = expected.orElse(new byte[0]);
    byte[] after = wanted.orElse(new byte[0]);
    RadosOmap tags = tags(domain);
    int code = tags.swap(tag, before, after);
    if (code == ENOENT && expected.isEmpty()) {
      errors.check(namespace(domain).ensure(TAGS), "write tags", domain, tag);
      code = tags.swap(tag, before, after);
    }
    if (code == ECANCELED || code == ENOENT) {
      return false;
    }
    errors.check(code, "write tags", domain, tag);
    return true;
  }

  @Override
  public void visitTags(String domain, TagPart part, TagVisitor visitor) throws StoreException {
    String after = "";
    while (true) {
      TreeMap<String, byte[]> page = new TreeMap<>();
      int code = tags(domain).list(after, part, LIST_STEP, page);
      if (code == ENOENT) {
        return;
      }
      errors.check(code, "list tags", domain, TAGS);
      for (Map.Entry<String, byte[]> tag : page.entrySet()) {
        if (!visitor.visit(tag.getKey(), tag.getValue())) {
          return;
        }
      }
      if (page.isEmpty()) {
        return;
      }
      if (page.lastKey().compareTo(after) <= 0) {
        throw errors.failure(
            E2BIG, "list tags", domain, TAGS); // librados cuts a key at its first NUL
      }
      after = page.lastKey();
    }
  }

  @Override
  public void rest() {
    rest(true);
  }

  /** Counts after the next look; so the first after a rest may come a minute late. */
  private synchronized void rest(boolean now) {
    if (resting == now) {
      return;
    }
    resting = now;
    try {
      pool.set(LOOK, now ? IDLE_LOOK_SECONDS : BUSY_LOOK_SECONDS);
    } catch (RadosFailure e) {
      StoreEvent.OPTION_REFUSED.on(LOG).addKeyValue("cause", e.getMessage()).log();
    }
  }

  @Override
  public void close() {
    pool.close();
  }

  private RadosOmap tags(String domain) throws StoreException {
    return new RadosOmap(namespace(domain), TAGS);
  }

  private RadosNamespace namespace(String domain) throws StoreException {
    return errors.open(pool, domain);
  }

  /** Fixed width, so that values compare as times do. */
  private String now() {
    return clock.instant().truncatedTo(ChronoUnit.SECONDS).toString();
  }
}
