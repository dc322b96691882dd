package org.layercake.store;

import com.ceph.rados.IoCTX;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import jnr.ffi.Pointer;

/** One RADOS namespace of a pool. */
final class RadosNamespace {
  /** Where there is no room: answer at once, or write all the same. Without either, writes wait. */
  static final int FULL_TRY = 64;

  static final int FULL_FORCE = 128;

  private static final int CREATE_EXCLUSIVE = 1;
  private static final int END_OF_LIST = -2;

  /** Sequential read, immutable, long lived, incompressible. */
  private static final int CHUNK_HINTS = 4 | 32 | 128 | 512;

  private final RadosLibrary library;
  private final RadosNative librados;
  private final IoCTX io;
  private final Pointer handle;

  RadosNamespace(RadosLibrary library, IoCTX io) {
    this.library = library;
    this.librados = library.librados();
    this.io = io;
    this.handle = Pointer.wrap(library.runtime(), com.sun.jna.Pointer.nativeValue(io.getPointer()));
  }

  RadosLibrary library() {
    return library;
  }

  IoCTX io() {
    return io;
  }

  Pointer handle() {
    return handle;
  }

  /** Begins to read an object into a direct buffer, from index 0 up to its limit. */
  RadosRead startRead(String object, ByteBuffer target, int flags) throws RadosFailure {
    return RadosRead.start(library, handle, object, target, flags);
  }

  /** Reads part of an object; the number of bytes, or a negated errno. */
  int read(String object, long offset, ByteBuffer target, int flags) {
    Pointer results = library.zeroed(2 * Long.BYTES);
    Pointer op = librados.rados_create_read_op();
    try {
      librados.rados_read_op_read(
          op,
          offset,
          target.limit(),
          Pointer.wrap(library.runtime(), target),
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
    Pointer bytes = library.bytes(value.getBytes(StandardCharsets.US_ASCII));
    return write(
        object,
        op -> {
          librados.rados_write_op_cmpxattr(op, attribute, RadosNative.EQUAL, bytes, value.length());
          librados.rados_write_op_remove(op);
        });
  }

  /** An attribute, cut off after {@code max} bytes: its length, or a negated errno. */
  int readAttribute(String object, String attribute, ByteBuffer target) {
    return librados.rados_getxattr(
        handle, object, attribute, Pointer.wrap(library.runtime(), target), target.limit());
  }

  /** An object's length in bytes, or a negated errno. */
  long length(String object) {
    Pointer out = library.zeroed(2 * Long.BYTES);
    int code = librados.rados_stat(handle, object, out, out.slice(Long.BYTES));
    return code < 0 ? code : out.getLong(0);
  }

  /** Tells each object's namespace and name; 0 at the end, or a negated errno. */
  int list(BiConsumer<String, String> each) {
    Pointer listOut = library.zeroed(Long.BYTES);
    int code = librados.rados_nobjects_list_open(handle, listOut);
    if (code < 0) {
      return code;
    }
    Pointer list = listOut.getPointer(0);
    Pointer out = library.zeroed(5 * Long.BYTES);
    try {
      while (true) {
        code =
            librados.rados_nobjects_list_next2(
                list, out, null, out.slice(8), out.slice(16), null, out.slice(24));
        if (code < 0) {
          return code == END_OF_LIST ? 0 : code;
        }
        each.accept(
            RadosLibrary.text(out.getPointer(8), out.getLong(24)),
            RadosLibrary.text(out.getPointer(0), out.getLong(16)));
      }
    } finally {
      librados.rados_nobjects_list_close(list);
    }
  }

  private void writeFull(Pointer op, ByteBuffer content, String attribute, String value) {
    int length = content.limit();
    librados.rados_write_op_set_alloc_hint2(op, length, length, CHUNK_HINTS);
    librados.rados_write_op_write_full(op, Pointer.wrap(library.runtime(), content), length);
    setAttribute(op, attribute, value);
  }

  private void setAttribute(Pointer op, String attribute, String value) {
    // librados copies the value into the operation.
    Pointer bytes = library.bytes(value.getBytes(StandardCharsets.US_ASCII));
    librados.rados_write_op_setxattr(op, attribute, bytes, value.length());
  }

  /** Creates an empty object if it is not there. */
  int ensure(String object) {
    return write(object, op -> librados.rados_write_op_create(op, 0, null));
  }

  /** Does what is filled in to one object, all or nothing. */
  int write(String object, Consumer<Pointer> fill) {
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
