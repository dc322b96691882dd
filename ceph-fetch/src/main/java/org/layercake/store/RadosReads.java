package org.layercake.store;

import static org.layercake.store.RadosErrors.EAGAIN;
import static org.layercake.store.RadosErrors.ETIMEDOUT;
import static org.layercake.store.StoreException.Kind.NOT_FOUND;

import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.function.IntPredicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads objects of a pool: from which of their copies, and what then when that one cannot. */
final class RadosReads {
  private static final Logger LOG = LoggerFactory.getLogger(RadosReads.class);

  /**
   * The first release in which a replica that meets a media error sends the reader to the primary;
   * in those before, its OSD fails an assertion and ends (ceph pull request 70909, merged into main
   * in August 2026, after Umbrella had branched off; no backport is known).
   */
  private static final int VAMPIRE = 22;

  private static final int READ_STEP_BYTES = 256 << 10;

  private final RadosPool pool;
  private final StoreConfig config;
  private final RadosErrors errors;

  RadosReads(RadosPool pool, StoreConfig config, RadosErrors errors) {
    this.pool = pool;
    this.config = config;
    this.errors = errors;
    if (config.replicaReads() == StoreConfig.ReplicaReads.AUTO) {
      StoreEvent.REPLICA_READS
          .on(LOG)
          .addKeyValue("policy", "auto")
          .addKeyValue("osd-release", pool.oldestOsdRelease())
          .addKeyValue("needed", VAMPIRE)
          .log();
    }
  }

  /** Begins to read; see {@link ObjectStore#startRead}. */
  ObjectStore.PendingRead start(
      String domain, String object, ByteBuffer target, ObjectStore.Copy copy)
      throws StoreException {
    return new Pending(domain, object, target, flags(copy));
  }

  private int flags(ObjectStore.Copy copy) {
    return switch (copy) {
      case PREFERRED -> preferredFlags();
      case PRIMARY -> 0;
    };
  }

  /** Whether other copies than the primary one may be read, now. */
  boolean fromReplicas() {
    return preferredFlags() != 0;
  }

  /** See {@link ObjectStore#readReplicas}. */
  boolean readReplicas(String domain, String object, ByteBuffer target, IntPredicate isRight)
      throws StoreException {
    if (!fromReplicas()) {
      return false;
    }
    Replicas.Outcome outcome =
        new Replicas(pool, options -> RadosConnector.connect(config, options), config.pool())
            .read(domain, object, target, isRight);
    if (outcome == Replicas.Outcome.UNANSWERED) {
      throw errors.failure(ETIMEDOUT, "read a replica", domain, object);
    }
    return outcome == Replicas.Outcome.RIGHT;
  }

  private int preferredFlags() {
    return switch (config.replicaReads()) {
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
  private final class Pending implements ObjectStore.PendingRead {
    private final String domain;
    private final String object;
    private final ByteBuffer target;
    private final int flags;
    private RadosRead read;
    private boolean cancelled;

    Pending(String domain, String object, ByteBuffer target, int flags) throws StoreException {
      this.domain = domain;
      this.object = object;
      this.target = target;
      this.flags = flags;
      this.read = start(flags);
    }

    private RadosRead start(int flags) throws StoreException {
      try {
        return pool.namespace(domain).startRead(object, target, flags);
      } catch (RadosFailure e) {
        throw errors.failure(e.code(), "read", domain, object);
      }
    }

    @Override
    public int await() throws StoreException {
      int code = current().await();
      if (isReplicasFault(code, flags) && startAgain(code)) {
        code = current().await();
      }
      return errors.check(code, "read", domain, object);
    }

    private synchronized RadosRead current() {
      return read;
    }

    private synchronized boolean startAgain(int code) throws StoreException {
      if (!cancelled) {
        StoreEvent.REPLICA_FAILED
            .on(LOG)
            .addKeyValue("domain", domain)
            .addKeyValue("object", object)
            .addKeyValue("errno", -code)
            .addKeyValue("next", "primary")
            .log();
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

  /** See {@link ObjectStore#open}. */
  Optional<InputStream> open(String domain, String object, int maxBytes, ObjectStore.Copy copy)
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
      int count = errors.open(pool, domain).read(object, position, target, flags);
      if (isReplicasFault(count, flags)) {
        flags = 0;
        count = errors.open(pool, domain).read(object, position, target, flags);
      }
      return errors.check(count, "read", domain, object);
    }
  }
}
