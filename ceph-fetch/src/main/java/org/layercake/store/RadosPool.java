package org.layercake.store;

import com.ceph.rados.IoCTX;
import com.ceph.rados.Rados;
import com.ceph.rados.exceptions.RadosException;
import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;

/**
 * One connection to one RADOS pool.
 *
 * <p>rados-java sets it up; what that lacks (asynchronous reads, compound operations, omaps) is
 * called through {@link RadosNative} on the same handles, by {@link RadosNamespace}, {@link
 * RadosOmap} and {@link RadosRead}: no other class sees com.ceph and native types. Return codes are
 * librados's own, negated errno; {@link RadosErrors} knows what they mean.
 */
final class RadosPool implements AutoCloseable {
  /** The name of a namespace that is all of them, for listing; LIBRADOS_ALL_NSPACES. */
  static final String EVERYWHERE = "\u0001";

  static final int BALANCE_READS = 1;
  static final int LOCALIZE_READS = 2;

  private final Cluster cluster;
  private final String pool;
  private final Map<String, RadosNamespace> namespaces = new ConcurrentHashMap<>();
  private final RadosLibrary library;
  private boolean closed;

  /** Shows the handle that rados-java keeps to itself. */
  private static final class Cluster extends Rados {
    Cluster(String entity) {
      super("ceph", entity, 0);
    }

    Pointer handle(Runtime runtime) {
      return Pointer.wrap(runtime, com.sun.jna.Pointer.nativeValue(clusterPtr));
    }
  }

  private RadosPool(Cluster cluster, String pool) {
    this.cluster = cluster;
    this.library = new RadosLibrary(cluster);
    this.pool = pool;
  }

  /** Connects within the given configuration's timeouts; throws what librados says. */
  static RadosPool connect(Path cephConf, String entity, Map<String, String> options, String pool)
      throws RadosFailure {
    Cluster cluster = new Cluster(entity);
    boolean connected = false;
    try {
      cluster.confReadFile(cephConf.toFile());
      for (var option : options.entrySet()) {
        cluster.confSet(option.getKey(), option.getValue());
      }
      cluster.connect();
      connected = true;
    } catch (RadosException e) {
      throw new RadosFailure("connect", e.getReturnValue());
    } finally {
      if (!connected) {
        cluster.shutDown();
      }
    }
    RadosPool result = new RadosPool(cluster, pool);
    try {
      result.namespace(""); // is there such a pool?
      return result;
    } catch (RadosFailure e) {
      result.close();
      throw e;
    }
  }

  /** Changes an option of librados for all that comes. */
  void set(String option, String value) throws RadosFailure {
    try {
      cluster.confSet(option, value);
    } catch (RadosException e) {
      throw new RadosFailure("set " + option, e.getReturnValue());
    }
  }

  /** A part of the pool. Its state is set once, here: librados does not lock it. */
  RadosNamespace namespace(String name) throws RadosFailure {
    RadosNamespace known = namespaces.get(name);
    if (known != null) {
      return known;
    }
    synchronized (this) {
      known = namespaces.get(name);
      if (known == null) {
        known = openNamespace(name);
        namespaces.put(name, known);
      }
      return known;
    }
  }

  private RadosNamespace openNamespace(String name) throws RadosFailure {
    try {
      IoCTX io = cluster.ioCtxCreate(pool);
      io.setNamespace(name);
      return new RadosNamespace(library, io);
    } catch (RadosException e) {
      throw new RadosFailure("open pool " + pool, e.getReturnValue());
    }
  }

  /**
   * The release that every OSD has at least, by its number (16 is Pacific), or a negated errno.
   * From the OSD map, which each client has: the monitors admit no older OSD than it says.
   */
  int oldestOsdRelease() {
    Pointer release = library.zeroed(Long.BYTES);
    int code =
        library.librados().rados_get_min_compatible_osd(cluster.handle(library.runtime()), release);
    return code < 0 ? code : release.getByte(0);
  }

  /** Asks the monitors for what they answer in JSON. */
  String ask(String command) throws RadosFailure {
    Pointer text = library.bytes((command + "\0").getBytes(StandardCharsets.US_ASCII));
    // output, its length, status, its length
    Pointer out = library.zeroed(4 * Long.BYTES);
    try {
      RadosFailure.check(
          library
              .librados()
              .rados_mon_command(
                  cluster.handle(library.runtime()),
                  library.array(text),
                  1,
                  null,
                  0,
                  out,
                  out.slice(8),
                  out.slice(16),
                  out.slice(24)),
          "ask the monitors");
      return RadosLibrary.text(out.getPointer(0), out.getLong(8));
    } finally {
      Reference.reachabilityFence(text);
      for (Pointer given : new Pointer[] {out.getPointer(0), out.getPointer(16)}) {
        if (given != null) {
          library.librados().rados_buffer_free(given);
        }
      }
    }
  }

  /** No operation may be under way. */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      namespaces.values().forEach(namespace -> cluster.ioCtxDestroy(namespace.io()));
      cluster.shutDown();
    }
  }
}
