package org.layercake.store;

import java.nio.ByteBuffer;
import jnr.ffi.Pointer;

/** A read under way; keeps alive all memory that librados writes to. */
final class RadosRead {
  private final RadosLibrary library;
  private final Pointer io;
  private final Pointer completion;
  private final ByteBuffer target;
  private final Pointer results;
  private boolean released;

  private RadosRead(
      RadosLibrary library, Pointer io, Pointer completion, ByteBuffer target, Pointer results) {
    this.library = library;
    this.io = io;
    this.completion = completion;
    this.target = target;
    this.results = results;
  }

  /** Begins to read an object of an I/O context into a direct buffer, from index 0 to its limit. */
  static RadosRead start(
      RadosLibrary library, Pointer io, String object, ByteBuffer target, int flags)
      throws RadosFailure {
    // bytes read (size_t) and the sub-operation's own return value (int)
    Pointer results = library.zeroed(2 * Long.BYTES);
    Pointer completionOut = library.zeroed(Long.BYTES);
    RadosFailure.check(
        library.librados().rados_aio_create_completion2(null, null, completionOut),
        "create completion");
    Pointer completion = completionOut.getPointer(0);
    Pointer op = library.librados().rados_create_read_op();
    try {
      library
          .librados()
          .rados_read_op_read(
              op,
              0,
              target.limit(),
              Pointer.wrap(library.runtime(), target),
              results,
              results.slice(Long.BYTES));
      int code = library.librados().rados_aio_read_op_operate(op, io, completion, object, flags);
      if (code < 0) {
        library.librados().rados_aio_release(completion);
        throw new RadosFailure("read", code);
      }
    } finally {
      library.librados().rados_release_read_op(op);
    }
    return new RadosRead(library, io, completion, target, results);
  }

  synchronized void cancel() {
    if (!released) {
      library.librados().rados_aio_cancel(io, completion);
    }
  }

  /** Number of bytes read, or a negated errno. To be called exactly once. */
  int await() {
    library
        .librados()
        .rados_aio_wait_for_complete(completion); // not locked: others may cancel meanwhile
    synchronized (this) {
      int code = library.librados().rados_aio_get_return_value(completion);
      library.librados().rados_aio_release(completion);
      released = true;
      return code < 0 ? code : (int) Math.min(results.getLong(0), target.limit());
    }
  }
}
