package org.layercake.store;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.layercake.store.StoreException.Kind.CORRUPT;
import static org.layercake.store.StoreException.Kind.DENIED;
import static org.layercake.store.StoreException.Kind.FULL;
import static org.layercake.store.StoreException.Kind.INTERNAL;
import static org.layercake.store.StoreException.Kind.MISCONFIGURED;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;
import static org.layercake.store.StoreException.Kind.UNAVAILABLE;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
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
import java.util.regex.Pattern;
import org.layercake.store.RadosPool.RadosFailure;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The store in a RADOS pool: an access domain is a RADOS namespace, an object an object.
 *
 * <p>The tags of a domain are the omap of its one object {@code t}, not objects of their own: RADOS
 * lists a namespace by walking the whole pool, chunks and all, but hands out an omap sorted.
 */
final class RadosStore implements ObjectStore {
  /**
   * The first release in which a replica that meets a media error sends the reader to the primary;
   * in those before, its OSD fails an assertion and ends (ceph pull request 70909, merged into main
   * in August 2026, after Umbrella had branched off; no backport is known).
   */
  private static final int VAMPIRE = 22;

  private static final Logger LOG = LoggerFactory.getLogger(RadosStore.class);

  private static final String TAGS = "t";
  private static final String SEEN = "seen";
  private static final int READ_STEP_BYTES = 256 << 10;

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
  private static final Pattern ENTITY = Pattern.compile("client\\.[!-~]+");

  private static final int EPERM = -1;
  private static final int ENOENT = -2;
  private static final int EIO = -5;
  private static final int E2BIG = RadosPool.E2BIG;
  private static final int EAGAIN = -11;
  private static final int EACCES = -13;
  private static final int EEXIST = -17;
  private static final int EINVAL = -22;
  private static final int ENOSPC = -28;
  private static final int ERANGE = -34;
  private static final int ENODATA = -61;
  private static final int EOPNOTSUPP = -95;
  private static final int ENOTCONN = -107;
  private static final int ESHUTDOWN = -108;
  private static final int ETIMEDOUT = -110;
  private static final int EDQUOT = -122;
  private static final int ECANCELED = -125;

  private final RadosPool pool;
  private final StoreConfig config;
  private final String poolName;
  private final String entity;
  private final StoreConfig.ReplicaReads replicaReads;
  private final InstantSource clock;
  private volatile boolean resting; // written under this

  private RadosStore(RadosPool pool, StoreConfig config, InstantSource clock) {
    this.pool = pool;
    this.config = config;
    this.poolName = config.pool();
    this.clock = clock;
    this.entity = config.client();
    this.replicaReads = config.replicaReads();
    if (replicaReads == StoreConfig.ReplicaReads.AUTO) {
      LOG.debug(
          "event=replica-reads policy=auto osd-release={} needed={}",
          pool.oldestOsdRelease(),
          VAMPIRE);
    }
  }

  static RadosStore open(StoreConfig config, InstantSource clock) throws StoreException {
    checkConfig(config);
    try {
      return new RadosStore(connect(config, Map.of()), config, clock);
    } catch (RadosFailure e) {
      throw notConnected(config, e);
    } catch (LinkageError e) {
      throw new StoreException(
          MISCONFIGURED, "cannot load librados: not installed (install librados2)", e);
    }
  }

  private static RadosPool connect(StoreConfig config, Map<String, String> more)
      throws RadosFailure {
    Map<String, String> options = options(config);
    options.putAll(more);
    return RadosPool.connect(config.cephConf(), config.client(), options, config.pool());
  }

  /** librados waits for ever unless told otherwise, and writes its own lines to stderr. */
  private static Map<String, String> options(StoreConfig config) {
    Map<String, String> options = new HashMap<>();
    options.put("keyring", config.keyring().toString());
    options.put("client_mount_timeout", "10");
    options.put("rados_mon_op_timeout", "15");
    options.put("rados_osd_op_timeout", "15");
    options.put("log_to_stderr", "false");
    options.put("err_to_stderr", "false");
    options.put("log_file", "");
    options.put("admin_socket", "");
    // What looks after things that we do not have: threads that may hang, a log for the monitors.
    options.put("heartbeat_interval", "60");
    options.put("mon_client_log_interval", "60");
    // What would only be kept in memory, for the log of a crash, wakes a thread twice a second.
    for (String part : List.of("auth", "mgrc", "monc", "ms", "objecter", "rados", "timer")) {
      options.put("debug_" + part, "0/0");
    }
    return options;
  }

  /** What librados would only report as one errno for many causes. */
  private static void checkConfig(StoreConfig config) throws StoreException {
    if (!ENTITY.matcher(config.client()).matches()) {
      throw new StoreException(
          MISCONFIGURED,
          "cannot reach Ceph: client \"" + config.client() + "\" is not client.NAME (store.conf)");
    }
    requireReadable(config.cephConf(), "Ceph configuration", MISCONFIGURED, "set ceph-conf");
    requireReadable(
        config.keyring(),
        "keyring of " + config.client(),
        DENIED,
        "ask an administrator for one: \"layercake key USER\" prints the command");
  }

  private static void requireReadable(
      Path file, String what, StoreException.Kind kind, String nextMove) throws StoreException {
    if (!Files.isReadable(file)) {
      String cause = Files.exists(file) ? "is not readable" : "does not exist";
      throw new StoreException(
          kind, "cannot reach Ceph: " + what + ", " + file + ", " + cause + " (" + nextMove + ")");
    }
  }

  private static StoreException notConnected(StoreConfig config, RadosFailure e) {
    String act = "cannot reach Ceph as " + config.client() + ": ";
    return switch (e.code()) {
      case EPERM, EACCES, EOPNOTSUPP ->
          new StoreException(
              DENIED,
              act + "key refused (check " + config.keyring() + " with an administrator)",
              e);
      case ENOENT ->
          new StoreException(
              MISCONFIGURED,
              act + "no pool \"" + config.pool() + "\", or no key in " + config.keyring(),
              e);
      case EIO, EINVAL ->
          new StoreException(
              MISCONFIGURED,
              act + config.keyring() + " or " + config.cephConf() + " is malformed (replace it)",
              e);
      case ETIMEDOUT ->
          new StoreException(
              UNAVAILABLE, act + "no monitor of " + config.cephConf() + " answers (try again)", e);
      default -> new StoreException(MISCONFIGURED, act + e.getMessage(), e);
    };
  }

  @Override
  public PendingRead startRead(String domain, String object, ByteBuffer target, Copy copy)
      throws StoreException {
    if (resting) {
      rest(false);
    }
    return new Pending(domain, object, target, flags(copy));
  }

  private int flags(Copy copy) {
    return switch (copy) {
      case PREFERRED -> preferredFlags();
      case PRIMARY -> 0;
    };
  }

  @Override
  public boolean readsReplicas() {
    return preferredFlags() != 0;
  }

  @Override
  public boolean readReplicas(String domain, String object, ByteBuffer target, IntPredicate isRight)
      throws StoreException {
    if (!readsReplicas()) {
      return false;
    }
    Replicas.Outcome outcome =
        new Replicas(pool, options -> connect(config, options), config.pool())
            .read(domain, object, target, isRight);
    if (outcome == Replicas.Outcome.UNANSWERED) {
      throw failure(ETIMEDOUT, "read a replica", domain, object);
    }
    return outcome == Replicas.Outcome.RIGHT;
  }

  private int preferredFlags() {
    return switch (replicaReads) {
      case AUTO -> survivesReplicaReads() ? RadosPool.BALANCE_READS : 0;
      case OFF -> 0;
      case BALANCE -> RadosPool.BALANCE_READS;
      case LOCALIZE -> RadosPool.LOCALIZE_READS;
    };
  }

  /** Asked anew each time: clusters are upgraded under a running launcher, and it costs nothing. */
  private boolean survivesReplicaReads() {
    return pool.oldestOsdRelease() >= VAMPIRE;
  }

  /** A read that is begun again, once, at the primary, when a replica cannot serve it. */
  private final class Pending implements PendingRead {
    private final String domain;
    private final String object;
    private final ByteBuffer target;
    private final int flags;
    private RadosPool.Read read;
    private boolean cancelled;

    Pending(String domain, String object, ByteBuffer target, int flags) throws StoreException {
      this.domain = domain;
      this.object = object;
      this.target = target;
      this.flags = flags;
      this.read = start(flags);
    }

    private RadosPool.Read start(int flags) throws StoreException {
      try {
        return pool.namespace(domain).startRead(object, target, flags);
      } catch (RadosFailure e) {
        throw failure(e.code(), "read", domain, object);
      }
    }

    @Override
    public int await() throws StoreException {
      int code = current().await();
      if (isReplicasFault(code, flags) && startAgain(code)) {
        code = current().await();
      }
      return check(code, "read", domain, object);
    }

    private synchronized RadosPool.Read current() {
      return read;
    }

    private synchronized boolean startAgain(int code) throws StoreException {
      if (!cancelled) {
        LOG.warn(
            "event=replica-failed domain={} object={} errno={} next=primary",
            domain,
            object,
            -code);
        read = start(0);
      }
      return !cancelled;
    }

    @Override
    public synchronized void cancel() {
      cancelled = true;
      read.cancel();
    }
  }

  /** Whether the primary may do better: the replica is behind, or does not answer. */
  private static boolean isReplicasFault(int code, int flags) {
    return flags != 0 && (code == EAGAIN || code == ETIMEDOUT);
  }

  @Override
  public Optional<InputStream> open(String domain, String object, int maxBytes, Copy copy)
      throws StoreException {
    ObjectStream stream = new ObjectStream(domain, object, maxBytes, flags(copy));
    try {
      stream.next();
      return Optional.of(stream);
    } catch (StoreStream.Failure e) {
      if (e.getCause().kind() == NOT_FOUND) {
        return Optional.empty();
      }
      throw e.getCause();
    }
  }

  private final class ObjectStream extends StoreStream {
    private final String domain;
    private final String object;
    private int flags;

    ObjectStream(String domain, String object, int maxBytes, int flags) {
      super(
          object + " of " + domain,
          maxBytes,
          ByteBuffer.allocateDirect(Math.min(READ_STEP_BYTES, maxBytes + 1)));
      this.domain = domain;
      this.object = object;
      this.flags = flags;
    }

    @Override
    int read(long position, ByteBuffer target) throws StoreException {
      int count = namespace(domain).read(object, position, target, flags);
      if (isReplicasFault(count, flags)) {
        flags = 0;
        count = namespace(domain).read(object, position, target, flags);
      }
      return check(count, "read", domain, object);
    }
  }

  @Override
  public boolean create(String domain, String object, ByteBuffer content) throws StoreException {
    // A pool that users have filled must not keep jobs from starting.
    boolean isLaunchers = domain.equals(ObjectNames.LAUNCHERS);
    int flags = isLaunchers ? RadosPool.FULL_FORCE : RadosPool.FULL_TRY;
    int code = namespace(domain).create(object, content, SEEN, now(), flags);
    if (code == EEXIST) {
      return false;
    }
    check(code, "write", domain, object);
    return true;
  }

  @Override
  public void overwrite(String domain, String object, ByteBuffer content) throws StoreException {
    check(namespace(domain).overwrite(object, content, SEEN, now()), "write", domain, object);
  }

  @Override
  public boolean touch(String domain, String object) throws StoreException {
    int code = namespace(domain).setAttribute(object, SEEN, now());
    if (code == ENOENT) {
      return false;
    }
    check(code, "write", domain, object);
    return true;
  }

  @Override
  public Optional<Trace> trace(String domain, String object) throws StoreException {
    ByteBuffer value = ByteBuffer.allocateDirect(MAX_TIME_BYTES);
    int length = namespace(domain).readAttribute(object, SEEN, value);
    if (length == ENOENT || length == ENODATA || length == ERANGE) {
      return Optional.empty();
    }
    check(length, "read", domain, object);
    byte[] text = new byte[length];
    value.get(0, text);
    long bytes = namespace(domain).length(object);
    if (bytes == ENOENT) {
      return Optional.empty();
    }
    check((int) Math.min(bytes, Integer.MAX_VALUE), "read", domain, object);
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
    check(code, "remove", domain, object);
    return true;
  }

  @Override
  public void list(Optional<String> domain, BiConsumer<String, String> each) throws StoreException {
    String place = domain.orElse(RadosPool.EVERYWHERE);
    check(namespace(place).list(each), "list", domain.orElse("any"), "objects");
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
      throw failure(e.code(), "ask for the quota", "any", poolName);
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
    Map<String, byte[]> found = new HashMap<>();
    int code = namespace(domain).readEntry(TAGS, tag, found);
    if (code != ENOENT) {
      check(code, "read tags", domain, tag);
    }
    return Optional.ofNullable(found.get(tag));
  }

  @Override
  public boolean swapTag(
      String domain, String tag, Optional<byte[]> expected, Optional<byte[]> wanted)
      throws StoreException {
    // omap_cmp takes a missing entry for an empty one; no tag is ever empty.
    byte[] before = expected.orElse(new byte[0]);
    byte[] after = wanted.orElse(new byte[0]);
    RadosPool.Namespace namespace = namespace(domain);
    int code = namespace.swapEntry(TAGS, tag, before, after);
    if (code == ENOENT && expected.isEmpty()) {
      check(namespace.ensure(TAGS), "write tags", domain, tag);
      code = namespace.swapEntry(TAGS, tag, before, after);
    }
    if (code == ECANCELED || code == ENOENT) {
      return false;
    }
    check(code, "write tags", domain, tag);
    return true;
  }

  @Override
  public void visitTags(String domain, TagPart part, TagVisitor visitor) throws StoreException {
    String after = "";
    while (true) {
      TreeMap<String, byte[]> page = new TreeMap<>();
      int code = namespace(domain).listEntries(TAGS, after, part, LIST_STEP, page);
      if (code == ENOENT) {
        return;
      }
      check(code, "list tags", domain, TAGS);
      for (Map.Entry<String, byte[]> tag : page.entrySet()) {
        if (!visitor.visit(tag.getKey(), tag.getValue())) {
          return;
        }
      }
      if (page.isEmpty()) {
        return;
      }
      if (page.lastKey().compareTo(after) <= 0) {
        throw failure(E2BIG, "list tags", domain, TAGS); // librados cuts a key at its first NUL
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
      LOG.warn("event=option-refused cause={}", e.getMessage());
    }
  }

  @Override
  public void close() {
    pool.close();
  }

  private RadosPool.Namespace namespace(String domain) throws StoreException {
    try {
      return pool.namespace(domain);
    } catch (RadosFailure e) {
      throw failure(e.code(), "open", domain, "pool");
    }
  }

  /** Fixed width, so that values compare as times do. */
  private String now() {
    return clock.instant().truncatedTo(ChronoUnit.SECONDS).toString();
  }

  private int check(int code, String act, String domain, String object) throws StoreException {
    if (code < 0) {
      throw failure(code, act, domain, object);
    }
    return code;
  }

  /** The one place that knows what an errno of librados means to us. */
  private StoreException failure(int code, String act, String domain, String object) {
    String what = "cannot " + act + " in domain " + domain + " (" + object + "): ";
    return switch (code) {
      case ENOENT -> new StoreException(NOT_FOUND, what + "no such object");
      case EPERM, EACCES ->
          new StoreException(
              DENIED, what + "the key of " + entity + " does not permit it (ask an administrator)");
      case EAGAIN, ETIMEDOUT, ENOTCONN, ESHUTDOWN, ECANCELED ->
          new StoreException(UNAVAILABLE, what + "Ceph does not answer (try again later)");
      case E2BIG ->
          new StoreException(
              CORRUPT,
              what + "an entry has a name that is no tag's (remove it with rados rmomapkey)");
      case EIO -> new StoreException(CORRUPT, what + "I/O error in Ceph (tell an administrator)");
      case ENOSPC, EDQUOT ->
          new StoreException(FULL, what + "the Ceph pool is full (remove images, or ask for room)");
      default -> new StoreException(INTERNAL, what + "librados errno " + -code);
    };
  }
}
