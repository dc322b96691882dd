package org.layercake.store;

import java.io.InputStream;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.IntPredicate;

/** A store whose every operation is preceded by something that takes a while. */
class Jostled implements ObjectStore {
  private final ObjectStore store;
  private final Runnable jostle;

  Jostled(ObjectStore store, Runnable jostle) {
    this.store = store;
    this.jostle = jostle;
  }

  @Override
  public PendingRead startRead(String domain, String object, ByteBuffer target, Copy copy)
      throws StoreException {
    jostle.run();
    return store.startRead(domain, object, target, copy);
  }

  @Override
  public boolean readsReplicas() {
    return store.readsReplicas();
  }

  @Override
  public boolean readReplicas(String domain, String object, ByteBuffer target, IntPredicate isRight)
      throws StoreException {
    return store.readReplicas(domain, object, target, isRight);
  }

  @Override
  public Optional<InputStream> open(String domain, String object, int maxBytes, Copy copy)
      throws StoreException {
    jostle.run();
    return store.open(domain, object, maxBytes, copy);
  }

  @Override
  public boolean create(String domain, String object, ByteBuffer content) throws StoreException {
    jostle.run();
    return store.create(domain, object, content);
  }

  @Override
  public void overwrite(String domain, String object, ByteBuffer content) throws StoreException {
    jostle.run();
    store.overwrite(domain, object, content);
  }

  @Override
  public boolean touch(String domain, String object) throws StoreException {
    jostle.run();
    return store.touch(domain, object);
  }

  @Override
  public Optional<Trace> trace(String domain, String object) throws StoreException {
    jostle.run();
    return store.trace(domain, object);
  }

  @Override
  public boolean remove(String domain, String object, Instant seen) throws StoreException {
    jostle.run();
    return store.remove(domain, object, seen);
  }

  @Override
  public void list(Optional<String> domain, BiConsumer<String, String> each) throws StoreException {
    jostle.run();
    store.list(domain, each);
  }

  @Override
  public Optional<Space> space() throws StoreException {
    return store.space();
  }

  @Override
  public Optional<byte[]> readTag(String domain, String tag) throws StoreException {
    jostle.run();
    return store.readTag(domain, tag);
  }

  @Override
  public boolean swapTag(
      String domain, String tag, Optional<byte[]> expected, Optional<byte[]> wanted)
      throws StoreException {
    jostle.run();
    return store.swapTag(domain, tag, expected, wanted);
  }

  @Override
  public void visitTags(String domain, TagPart part, TagVisitor visitor) throws StoreException {
    jostle.run();
    store.visitTags(domain, part, visitor);
  }

  @Override
  public void close() {
    store.close();
  }
}
