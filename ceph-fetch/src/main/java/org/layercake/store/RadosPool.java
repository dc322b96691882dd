package org.layercake.store;

import com.ceph.rados.IoCTX;
import com.ceph.rados.Rados;
import com.ceph.rados.exceptions.RadosException;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.SortedMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import jnr.ffi.LibraryLoader;
import jnr.ffi.Memory;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;

/**
 * One connection to one RADOS pool: the only class that sees com.ceph and native types.
 *
 * <p>rados-java sets the connection up; what it lacks (asynchronous reads, compound operations,
 * omaps) is called through {@link RadosNative} on the same handles. Return codes are librados's
 * own, negated errno; {@link RadosStore} knows what they mean.
 *
 * <p>The {@code Rados} object must stay reachable as long as anything here is in use, because its
 * finaliser shuts the cluster handle down. Everything that may be in use holds this object, and
 * with it that one.
 */
final class RadosPool implements AutoCloseable {
  /** The name of a namespace that is all of them, for listing; LIBRADOS_ALL_NSPACES. */
  static final String EVERYWHERE = "\u0001";

  static final int BALANCE_READS = 1;
  static final int LOCALIZE_READS = 2;

  /** Where there is no room: answer at once, or write all the same. Without either, writes wait. */
  static final int FULL_TRY = 64;

  static final int FULL_FORCE = 128;

  private static final int CREATE_EXCLUSIVE = 1;
  private static final byte EQUAL = 1;
  private static final int END_OF_LIST = -2;

  /** What an entry's name may have, whoever has written it; a tag has half of that. */
  private static final int MAX_KEY_BYTES = 1 << 10;

  /** Negated, for an entry whose name is longer. */
  static final int E2BIG = -7;

  /** What is longer is no tag; it is cut off. */
  private static final int MAX_ENTRY_BYTES = ObjectStore.MAX_TAG_BYTES + 1;

  /** Sequential read, immutable, long lived, incompressible. */
  private static final int CHUNK_HINTS = 4 | 32 | 128 | 512;

  private final Cluster cluster;
  private final String pool;
  private final Map<String, Namespace> namespaces = new ConcurrentHashMap<>();
  private final RadosNative librados = LibraryLoader.create(RadosNative.class).load("rados");
  private final Runtime runtime = Runtime.getRuntime(librados);
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
  Namespace namespace(String name) throws RadosFailure {
    Namespace known = namespaces.get(name);
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

  private Namespace openNamespace(String name) throws RadosFailure {
    try {
      IoCTX io = cluster.ioCtxCreate(pool);
      io.setNamespace(name);
      return new Namespace(io);
    } catch (RadosException e) {
      throw new RadosFailure("open pool " + pool, e.getReturnValue());
    }
  }

  /**
   * The release that every OSD has at least, by its number (16 is Pacific), or a negated errno.
   * From the OSD map, which each client has: the monitors admit no older OSD than it says.
   */
  int oldestOsdRelease() {
    Pointer release = Memory.allocateDirect(runtime, Long.BYTES, true);
    int code = librados.rados_get_min_compatible_osd(cluster.handle(runtime), release);
    return code < 0 ? code : release.getByte(0);
  }

  /** Asks the monitors for what they answer in JSON. */
  String ask(String command) throws RadosFailure {
    Pointer text = bytes((command + "\0").getBytes(StandardCharsets.US_ASCII));
    // output, its length, status, its length
    Pointer out = Memory.allocateDirect(runtime, 4L * Long.BYTES, true);
    try {
      check(
          librados.rados_mon_command(
              cluster.handle(runtime),
              array(text),
              1,
              null,
              0,
              out,
              out.slice(8),
              out.slice(16),
              out.slice(24)),
          "ask the monitors");
      return text(out.getPointer(0), out.getLong(8));
    } finally {
      Reference.reachabilityFence(text);
      for (Pointer given : new Pointer[] {out.getPointer(0), out.getPointer(16)}) {
        if (given != null) {
          librados.rados_buffer_free(given);
        }
      }
    }
  }

  private static String text(Pointer bytes, long length) {
    byte[] copy = new byte[(int) length];
    if (length > 0) {
      bytes.get(0, copy, 0, copy.length);
    }
    return new String(copy, StandardCharsets.ISO_8859_1);
  }

  /** No operation may be under way. */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      namespaces.values().forEach(namespace -> cluster.ioCtxDestroy(namespace.io));
      cluster.shutDown();
    }
  }

  /** An errno, and what librados was asked for. */
  static final class RadosFailure extends Exception {
    private static final long serialVersionUID = 1;
    private final int code;

    RadosFailure(String act, int code) {
      super(act + ": errno " + Math.abs(code));
      this.code = -Math.abs(code);
    }

    /** Negated errno. */
    int code() {
      return code;
    }
  }

  /** A read under way; keeps alive all memory that librados writes to. */
  final class Read {
    private final Pointer io;
    private final Pointer completion;
    private final ByteBuffer target;
    private final Pointer results;
    private boolean released;

    private Read(Pointer io, Pointer completion, ByteBuffer target, Pointer results) {
      this.io = io;
      this.completion = completion;
      this.target = target;
      this.results = results;
    }

    synchronized void cancel() {
      if (!released) {
        librados.rados_aio_cancel(io, completion);
      }
    }

    /** Number of bytes read, or a negated errno. To be called exactly once. */
    int await() {
      librados.rados_aio_wait_for_complete(completion); // not locked: others may cancel meanwhile
      synchronized (this) {
        int code = librados.rados_aio_get_return_value(completion);
        librados.rados_aio_release(completion);
        released = true;
        return code < 0 ? code : (int) Math.min(results.getLong(0), target.limit());
      }
    }
  }

  /** One RADOS namespace of the pool. */
  final class Namespace {
    private final IoCTX io;
    private final Pointer handle;

    private Namespace(IoCTX io) {
      this.io = io;
      this.handle = Pointer.wrap(runtime, com.sun.jna.Pointer.nativeValue(io.getPointer()));
    }

    /** Begins to read an object into a direct buffer, from index 0 up to its limit. */
    Read startRead(String object, ByteBuffer target, int flags) throws RadosFailure {
      // bytes read (size_t) and the sub-operation's own return value (int)
      Pointer results = Memory.allocateDirect(runtime, 2 * Long.BYTES, true);
      Pointer completionOut = Memory.allocateDirect(runtime, Long.BYTES);
      check(librados.rados_aio_create_completion2(null, null, completionOut), "create completion");
      Pointer completion = completionOut.getPointer(0);
      Pointer op = librados.rados_create_read_op();
      try {
        librados.rados_read_op_read(
            op,
            0,
            target.limit(),
            Pointer.wrap(runtime, target),
            results,
            results.slice(Long.BYTES));
        int code = librados.rados_aio_read_op_operate(op, handle, completion, object, flags);
        if (code < 0) {
          librados.rados_aio_release(completion);
          throw new RadosFailure("read", code);
        }
      } finally {
        librados.rados_release_read_op(op);
      }
      return new Read(handle, completion, target, results);
    }

    /** Reads part of an object; the number of bytes, or a negated errno. */
    int read(String object, long offset, ByteBuffer target, int flags) {
      Pointer results = Memory.allocateDirect(runtime, 2 * Long.BYTES, true);
      Pointer op = librados.rados_create_read_op();
      try {
        librados.rados_read_op_read(
            op,
            offset,
            target.limit(),
            Pointer.wrap(runtime, target),
            results,
            results.slice(Long.BYTES));
        int code = librados.rados_read_op_operate(op, handle, object, flags);
        return code < 0 ? code : (int) results.getLong(0);
      } finally {
        librados.rados_release_read_op(op);
      }
    }

    /**
     * Creates an object with one attribute, whole or not at all.
     *
     * @param flags FULL_TRY or FULL_FORCE
     */
    int create(String object, ByteBuffer content, String attribute, String value, int flags) {
      return write(
          object,
          flags,
          op -> {
            librados.rados_write_op_create(op, CREATE_EXCLUSIVE, null);
            writeFull(op, content, attribute, value);
          });
    }

    int overwrite(String object, ByteBuffer content, String attribute, String value) {
      return write(object, op -> writeFull(op, content, attribute, value));
    }

    /** Sets an attribute of an object that exists. */
    int setAttribute(String object, String attribute, String value) {
      return write(
          object,
          op -> {
            librados.rados_write_op_assert_exists(op);
            setAttribute(op, attribute, value);
          });
    }

    /** Removes an object if the attribute has that value; -ECANCELED if it has another or none. */
    int removeIf(String object, String attribute, String value) {
      Pointer bytes = bytes(value.getBytes(StandardCharsets.US_ASCII));
      return write(
          object,
          op -> {
            librados.rados_write_op_cmpxattr(op, attribute, EQUAL, bytes, value.length());
            librados.rados_write_op_remove(op);
          });
    }

    /** An attribute, cut off after {@code max} bytes: its length, or a negated errno. */
    int readAttribute(String object, String attribute, ByteBuffer target) {
      return librados.rados_getxattr(
          handle, object, attribute, Pointer.wrap(runtime, target), target.limit());
    }

    /** An object's length in bytes, or a negated errno. */
    long length(String object) {
      Pointer out = Memory.allocateDirect(runtime, 2 * Long.BYTES, true);
      int code = librados.rados_stat(handle, object, out, out.slice(Long.BYTES));
      return code < 0 ? code : out.getLong(0);
    }

    /** Tells each object's namespace and name; 0 at the end, or a negated errno. */
    int list(BiConsumer<String, String> each) {
      Pointer listOut = Memory.allocateDirect(runtime, Long.BYTES, true);
      int code = librados.rados_nobjects_list_open(handle, listOut);
      if (code < 0) {
        return code;
      }
      Pointer list = listOut.getPointer(0);
      Pointer out = Memory.allocateDirect(runtime, 5L * Long.BYTES, true);
      try {
        while (true) {
          code =
              librados.rados_nobjects_list_next2(
                  list, out, null, out.slice(8), out.slice(16), null, out.slice(24));
          if (code < 0) {
            return code == END_OF_LIST ? 0 : code;
          }
          each.accept(
              text(out.getPointer(8), out.getLong(24)), text(out.getPointer(0), out.getLong(16)));
        }
      } finally {
        librados.rados_nobjects_list_close(list);
      }
    }

    private void writeFull(Pointer op, ByteBuffer content, String attribute, String value) {
      int length = content.limit();
      librados.rados_write_op_set_alloc_hint2(op, length, length, CHUNK_HINTS);
      librados.rados_write_op_write_full(op, Pointer.wrap(runtime, content), length);
      setAttribute(op, attribute, value);
    }

    private void setAttribute(Pointer op, String attribute, String value) {
      // librados copies the value into the operation.
      Pointer bytes = bytes(value.getBytes(StandardCharsets.US_ASCII));
      librados.rados_write_op_setxattr(op, attribute, bytes, value.length());
    }

    /** Creates an empty object if it is not there. */
    int ensure(String object) {
      return write(object, op -> librados.rados_write_op_create(op, 0, null));
    }

    /**
     * Changes an omap entry if it still has the expected value; an empty value is the same as none.
     * -ECANCELED if it has not, -ENOENT if there is no such object.
     */
    int swapEntry(String object, String key, byte[] expected, byte[] wanted) {
      byte[] keyBytes = key.getBytes(StandardCharsets.US_ASCII);
      // These stay reachable until the operation is done: librados keeps none of them, but the
      // pointers in the arrays are invisible to the collector.
      Pointer[] kept = {bytes(keyBytes), bytes(wanted), bytes(expected)};
      Pointer keys = array(kept[0]);
      Pointer keyLengths = array(keyBytes.length);
      Pointer values = array(kept[1]);
      Pointer valueLengths = array(wanted.length);
      try {
        return write(
            object,
            op -> {
              librados.rados_write_op_omap_cmp2(
                  op, key, EQUAL, kept[2], keyBytes.length, expected.length, null);
              if (wanted.length == 0) {
                librados.rados_write_op_omap_rm_keys2(op, keys, keyLengths, 1);
              } else {
                librados.rados_write_op_omap_set2(op, keys, values, keyLengths, valueLengths, 1);
              }
            });
      } finally {
        Reference.reachabilityFence(kept);
      }
    }

    /** Fills {@code result} with the entry of that key, if there is one. */
    int readEntry(String object, String key, Map<String, byte[]> result) {
      byte[] keyBytes = key.getBytes(StandardCharsets.US_ASCII);
      Pointer keptKey = bytes(keyBytes);
      Pointer keys = array(keptKey);
      Pointer keyLengths = array(keyBytes.length);
      try {
        return readEntries(
            object,
            result,
            (op, iterator, status) ->
                librados.rados_read_op_omap_get_vals_by_keys2(
                    op, keys, 1, keyLengths, iterator, status));
      } finally {
        Reference.reachabilityFence(keptKey);
      }
    }

    /** Fills {@code result} with up to {@code max} entries after the given key. */
    int listEntries(
        String object,
        String after,
        ObjectStore.TagPart part,
        int max,
        SortedMap<String, byte[]> result) {
      Pointer more = Memory.allocateDirect(runtime, Long.BYTES, true);
      Pointer start = bytes((after + "\0").getBytes(StandardCharsets.ISO_8859_1));
      EntryQuery query =
          part == ObjectStore.TagPart.NAME
              ? (op, entries, status) ->
                  librados.rados_read_op_omap_get_keys2(op, start, max, entries, more, status)
              : (op, entries, status) ->
                  librados.rados_read_op_omap_get_vals2(op, start, "", max, entries, more, status);
      try {
        return readEntries(object, result, query);
      } finally {
        Reference.reachabilityFence(start);
      }
    }

    private int readEntries(String object, Map<String, byte[]> result, EntryQuery query) {
      Pointer iteratorOut = Memory.allocateDirect(runtime, Long.BYTES, true);
      Pointer status = Memory.allocateDirect(runtime, Long.BYTES, true);
      Pointer op = librados.rados_create_read_op();
      try {
        query.addTo(op, iteratorOut, status);
        int code = librados.rados_read_op_operate(op, handle, object, 0);
        Pointer iterator = iteratorOut.getPointer(0);
        if (iterator != null) {
          try {
            if (code >= 0) {
              return drain(iterator, result);
            }
          } finally {
            librados.rados_omap_get_end(iterator);
          }
        }
        return code;
      } finally {
        librados.rados_release_read_op(op);
      }
    }

    private int drain(Pointer iterator, Map<String, byte[]> result) {
      Pointer out = Memory.allocateDirect(runtime, 4L * Long.BYTES, true);
      while (true) {
        librados.rados_omap_get_next2(iterator, out, out.slice(8), out.slice(16), out.slice(24));
        Pointer key = out.getPointer(0);
        if (key == null) {
          return 0;
        }
        if (out.getLong(16) > MAX_KEY_BYTES) {
          return E2BIG;
        }
        byte[] keyBytes = new byte[(int) out.getLong(16)];
        key.get(0, keyBytes, 0, keyBytes.length);
        byte[] value = new byte[(int) Math.min(out.getLong(24), MAX_ENTRY_BYTES)];
        if (value.length > 0) {
          out.getPointer(8).get(0, value, 0, value.length);
        }
        result.put(new String(keyBytes, StandardCharsets.ISO_8859_1), value);
      }
    }

    private int write(String object, Consumer<Pointer> fill) {
      return write(object, FULL_TRY, fill);
    }

    private int write(String object, int flags, Consumer<Pointer> fill) {
      Pointer op = librados.rados_create_write_op();
      try {
        fill.accept(op);
        return librados.rados_write_op_operate2(op, handle, object, null, flags);
      } finally {
        librados.rados_release_write_op(op);
      }
    }
  }

  private interface EntryQuery {
    void addTo(Pointer op, Pointer iteratorOut, Pointer status);
  }

  private Pointer bytes(byte[] content) {
    Pointer memory = Memory.allocateDirect(runtime, Math.max(1, content.length));
    memory.put(0, content, 0, content.length);
    return memory;
  }

  private Pointer array(Pointer element) {
    Pointer memory = Memory.allocateDirect(runtime, Long.BYTES);
    memory.putPointer(0, element);
    return memory;
  }

  private Pointer array(long element) {
    Pointer memory = Memory.allocateDirect(runtime, Long.BYTES);
    memory.putLong(0, element);
    return memory;
  }

  private static void check(int code, String act) throws RadosFailure {
    if (code < 0) {
      throw new RadosFailure(act, code);
    }
  }
}
