package org.layercake.store;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntPredicate;

/** A store in a directory whose copies can be made bad, and count how often they are read. */
class Copies extends Jostled {
  static final int REPLICAS = 2;

  /** How often a copy was read. */
  static final class Reads {
    private final Map<Copy, AtomicInteger> copies = new EnumMap<>(Copy.class);
    private final AtomicInteger replicas = new AtomicInteger();

    Reads() {
      for (Copy copy : Copy.values()) {
        copies.put(copy, new AtomicInteger());
      }
    }

    AtomicInteger of(Copy copy) {
      return copies.get(copy);
    }

    /** Those that are not the primary one, all together. */
    AtomicInteger ofReplicas() {
      return replicas;
    }
  }

  /** What a read of a copy comes to. */
  interface Fate {
    /** To be true to the store, false to be wrong by a byte. */
    boolean isGood(Copy copy) throws StoreException;

    /** The same of a copy that is not the primary one. */
    default boolean isGood(int replica) {
      return false;
    }
  }

  record OneGoodReplica(int good) implements Fate {
    @Override
    public boolean isGood(Copy copy) {
      return false;
    }

    @Override
    public boolean isGood(int replica) {
      return replica == good;
    }
  }

  /** Copies up to one lack what is read. */
  record Lacking(Copy last) implements Fate {
    @Override
    public boolean isGood(Copy copy) throws StoreException {
      if (copy.compareTo(last) <= 0) {
        throw new StoreException(StoreException.Kind.NOT_FOUND, "no such object");
      }
      return true;
    }

    @Override
    public boolean isGood(int replica) {
      return true;
    }
  }

  private final Reads reads;
  private final boolean readsReplicas;
  private final Fate fate;

  Copies(Path directory, Reads reads, boolean readsReplicas, Fate fate) throws StoreException {
    super(DirectoryStore.open(directory, InstantSource.system()), () -> {});
    this.reads = reads;
    this.readsReplicas = readsReplicas;
    this.fate = fate;
  }

  @Override
  public boolean readsReplicas() {
    return readsReplicas;
  }

  @Override
  public boolean readReplicas(String domain, String object, ByteBuffer target, IntPredicate isRight)
      throws StoreException {
    for (int replica = 0; replica < REPLICAS; replica++) {
      reads.ofReplicas().incrementAndGet();
      int count;
      try {
        count = super.startRead(domain, object, target, Copy.PRIMARY).await();
      } catch (StoreException e) {
        continue; // not there, as for Replicas
      }
      spoilUnless(fate.isGood(replica), target);
      if (isRight.test(count)) {
        return true;
      }
    }
    return false;
  }

  @Override
  public PendingRead startRead(String domain, String object, ByteBuffer target, Copy copy)
      throws StoreException {
    reads.of(copy).incrementAndGet();
    PendingRead read = super.startRead(domain, object, target, copy);
    return new PendingRead() {
      @Override
      public int await() throws StoreException {
        int count = read.await();
        spoilUnless(fate.isGood(copy), target);
        return count;
      }

      @Override
      public void cancel() {
        read.cancel();
      }
    };
  }

  private static void spoilUnless(boolean isGood, ByteBuffer target) {
    if (!isGood) {
      target.put(0, (byte) ~target.get(0));
    }
  }
}
