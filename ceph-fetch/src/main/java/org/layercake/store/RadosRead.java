package org.layercake.store;

import java.nio.ByteBuffer;
import jnr.ffi.Pointer;

/** A read under way; keeps alive all memory that librados writes to. */
final class RadosRead {
  private final RadosPool pool;
  private final Pointer io;
  private final Pointer completion;
  private final ByteBuffer target;
  private final Pointer results;
  private boolean released;

  private RadosRead(
      RadosPool pool, Pointer io, Pointer completion, ByteBuffer target, Pointer results) {
    this.pool = pool;
    this.io = io;
    this.completion = completion;
    this.target = target;
    this.results = results;
  }

  /** Begins to read an object of an I/O context into a direct buffer, from index 0 to its limit. */
  static RadosRead start(RadosPool pool, Pointer io, String object, ByteBuffer target, int flags)
      throws RadosFailure {
    // bytes read (size_t) and the sub-operation's own return value (int)
    Pointer results = pool.zeroed(2 * Long.BYTES);
    Pointer completionOut = pool.zeroed(Long.BYTES);
    RadosFailure.check(
        pool.librados.rados_aio_create_completion2(null, null, completionOut), "create completion");
    Pointer completion = completionOut.getPointer(0);
    Pointer op = pool.librados.rados_create_read_op();
    try {
      pool.librados.rados_read_op_read(
          op,
          0,
          target.limit(),
          Pointer.wrap(pool.runtime, target),
          results,
          results.slice(Long.BYTES));
      int code = pool.librados.rados_aio_read_op_operate(op, io, completion, object, flags);
      if (code < 0) {
        pool.librados.rados_aio_release(completion);
        throw new RadosFailure("read", code);
      }
    } finally {
      pool.librados.rados_release_read_op(op);
    }
    return new RadosRead(pool, io, completion, target, results);
  }

  synchronized void cancel() {
    if (!released) {
      pool.librados.rados_aio_cancel(io, completion);
    }
  }

  /** Number of bytes read, or a negated errno. To be called exactly once. */
  int await() {
    pool.librados.rados_aio_wait_for_complete(
        completion); // not locked: others may cancel meanwhile
    synchronized (this) {
      int code = pool.librados.rados_aio_get_return_value(completion);
      pool.librados.rados_aio_release(completion);
      released = true;
      return code < 0 ? code : (int) Math.min(results.getLong(0), target.limit());
    }
  }
}
