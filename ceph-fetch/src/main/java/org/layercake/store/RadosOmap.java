package org.layercake.store;

import java.lang.ref.Reference;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import jnr.ffi.Pointer;

/** The omap of one object: entries sorted by their names, each with a value. */
final class RadosOmap {
  /** Negated, for an entry whose name is longer. */
  static final int E2BIG = -7;

  /** What an entry's name may have, whoever has written it; a tag has half of that. */
  private static final int MAX_KEY_BYTES = 1 << 10;

  /** What is longer is no tag; it is cut off. */
  private static final int MAX_ENTRY_BYTES = ObjectStore.MAX_TAG_BYTES + 1;

  private final RadosLibrary library;
  private final RadosNative librados;
  private final RadosNamespace namespace;
  private final String object;

  RadosOmap(RadosNamespace namespace, String object) {
    this.library = namespace.library();
    this.librados = library.librados();
    this.namespace = namespace;
    this.object = object;
  }

  /**
   * Changes an omap entry if it still has the expected value; an empty value is the same as none.
   * -ECANCELED if it has not, -ENOENT if there is no such object.
   */
  int swap(String key, byte[] expected, byte[] wanted) {
    byte[] keyBytes = key.getBytes(StandardCharsets.US_ASCII);
    // These stay reachable until the operation is done: librados keeps none of them, but the
    // pointers in the arrays are invisible to the collector.
    Pointer[] kept = {library.bytes(keyBytes), library.bytes(wanted), library.bytes(expected)};
    Pointer keys = library.array(kept[0]);
    Pointer keyLengths = library.array(keyBytes.length);
    Pointer values = library.array(kept[1]);
    Pointer valueLengths = library.array(wanted.length);
    try {
      return namespace.write(
          object,
          op -> {
            librados.rados_write_op_omap_cmp2(
                op, key, RadosNative.EQUAL, kept[2], keyBytes.length, expected.length, null);
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

  /** Fills {@code result} with the entries of these keys, as far as there are any. */
  int read(List<String> wanted, Map<String, byte[]> result) {
    Pointer[] kept = new Pointer[wanted.size()];
    Pointer keys = library.zeroed(wanted.size() * Long.BYTES);
    Pointer keyLengths = library.zeroed(wanted.size() * Long.BYTES);
    for (int i = 0; i < kept.length; i++) {
      byte[] key = wanted.get(i).getBytes(StandardCharsets.US_ASCII);
      kept[i] = library.bytes(key);
      keys.putPointer((long) i * Long.BYTES, kept[i]);
      keyLengths.putLong((long) i * Long.BYTES, key.length);
    }
    try {
      return readEntries(
          result,
          (op, iterator, status) ->
              librados.rados_read_op_omap_get_vals_by_keys2(
                  op, keys, kept.length, keyLengths, iterator, status));
    } finally {
      Reference.reachabilityFence(kept);
    }
  }

  /** Fills {@code result} with up to {@code max} entries after the given key. */
  int list(String after, ObjectStore.TagPart part, int max, SortedMap<String, byte[]> result) {
    Pointer more = library.zeroed(Long.BYTES);
    Pointer start = library.bytes((after + "\0").getBytes(StandardCharsets.ISO_8859_1));
    EntryQuery query =
        part == ObjectStore.TagPart.NAME
            ? (op, entries, status) ->
                librados.rados_read_op_omap_get_keys2(op, start, max, entries, more, status)
            : (op, entries, status) ->
                librados.rados_read_op_omap_get_vals2(op, start, "", max, entries, more, status);
    try {
      return readEntries(result, query);
    } finally {
      Reference.reachabilityFence(start);
    }
  }

  private int readEntries(Map<String, byte[]> result, EntryQuery query) {
    Pointer iteratorOut = library.zeroed(Long.BYTES);
    Pointer status = library.zeroed(Long.BYTES);
    Pointer op = librados.rados_create_read_op();
    try {
      query.addTo(op, iteratorOut, status);
      int code = librados.rados_read_op_operate(op, namespace.handle(), object, 0);
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
    Pointer out = library.zeroed(4 * Long.BYTES);
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

  private interface EntryQuery {
    void addTo(Pointer op, Pointer iteratorOut, Pointer status);
  }
}
