package org.layercake.store;

import com.ceph.rados.Rados;
import java.nio.charset.StandardCharsets;
import jnr.ffi.LibraryLoader;
import jnr.ffi.Memory;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;

/**
 * librados for one connection, and memory to call it with.
 *
 * <p>The {@code Rados} object must stay reachable as long as anything of the connection is in use,
 * because its finaliser shuts the cluster handle down. Everything that may be in use holds this
 * object, and with it that one.
 */
record RadosLibrary(Rados cluster, RadosNative librados, Runtime runtime) {
  RadosLibrary(Rados cluster) {
    this(cluster, LibraryLoader.create(RadosNative.class).load("rados"));
  }

  private RadosLibrary(Rados cluster, RadosNative librados) {
    this(cluster, librados, Runtime.getRuntime(librados));
  }

  /** Memory for what librados answers. */
  Pointer zeroed(int bytes) {
    return Memory.allocateDirect(runtime, bytes, true);
  }

  /** A copy for librados, which may be empty. */
  Pointer bytes(byte[] content) {
    Pointer memory = Memory.allocateDirect(runtime, Math.max(1, content.length));
    memory.put(0, content, 0, content.length);
    return memory;
  }

  /** An array of one. */
  Pointer array(Pointer element) {
    Pointer memory = Memory.allocateDirect(runtime, Long.BYTES);
    memory.putPointer(0, element);
    return memory;
  }

  /** An array of one. */
  Pointer array(long element) {
    Pointer memory = Memory.allocateDirect(runtime, Long.BYTES);
    memory.putLong(0, element);
    return memory;
  }

  /** Text of librados, a character for each byte. */
  static String text(Pointer bytes, long length) {
    byte[] copy = new byte[(int) length];
    if (length > 0) {
      bytes.get(0, copy, 0, copy.length);
    }
    return new String(copy, StandardCharsets.ISO_8859_1);
  }
}
